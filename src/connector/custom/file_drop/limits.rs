//! How much of a file is read. A list of a show has thousands of rows; what is far beyond is no list.

/// The largest file, in bytes as it lies in the folder.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The most bytes that a compressed file may unpack to, all its parts together.
pub const MAX_UNPACKED_BYTES: u64 = 256 << 20;

/// How many times its packed size a part may unpack to, once it has [`RATIO_FROM_BYTES`].
pub(super) const MAX_RATIO: u64 = 300;

/// Small parts may be of one letter only.
pub(super) const RATIO_FROM_BYTES: u64 = 4 << 20;

/// The most parts of a compressed file.
pub(super) const MAX_PARTS: usize = 10_000;

/// The most rows with anything in them.
pub const MAX_ROWS: usize = 200_000;

/// The most columns.
pub const MAX_COLUMNS: usize = 500;

/// The most characters of one cell: as many as Excel holds.
pub(super) const MAX_CELL_CHARS: usize = 32_767;

/// The longest name of a column, in bytes.
pub(super) const MAX_HEADER_BYTES: usize = 255;

/// The most bytes of one row.
pub(super) const MAX_ROW_BYTES: usize = 256 * 1024;
