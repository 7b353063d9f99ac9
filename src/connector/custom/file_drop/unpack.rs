//! Packed files: `.gz`, and `.zip` with one list in it. What unpacks to far more than it says, or
//! than any list has, is refused.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::error::FileError;
use super::limits::{MAX_PARTS, MAX_RATIO, MAX_UNPACKED_BYTES, RATIO_FROM_BYTES};

/// What a gzip file holds.
pub(super) fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, FileError> {
    let mut room = MAX_UNPACKED_BYTES;
    read_part(MultiGzDecoder::new(bytes), bytes.len() as u64, &mut room)
}

/// The name and content of the one list in a zip file.
pub(super) fn unzip(bytes: &[u8]) -> Result<(String, Vec<u8>), FileError> {
    let mut archive = open(bytes)?;
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(&error))?;
    let is_list = |name: &&String| {
        let file = name.rsplit('/').next().unwrap_or_default();
        !file.is_empty() && !file.starts_with('.') && !name.starts_with("__MACOSX/")
    };
    let lists: Vec<&String> = names.iter().filter(is_list).collect();
    let [name] = lists[..] else {
        return Err(FileError::new(
            "file.zip_parts",
            format!("the zip file holds {} files, not one", lists.len()),
            "put each list into the folder by itself",
        ));
    };
    let part = archive.by_name(name).map_err(|error| damaged(&error))?;
    let packed = part.compressed_size();
    let content = read_part(part, packed, &mut { MAX_UNPACKED_BYTES })?;
    Ok((name.clone(), content))
}

/// Unpacks all parts of a zip file and keeps none: whether it can be handed to a reader that trusts
/// it.
pub(super) fn check(bytes: &[u8]) -> Result<(), FileError> {
    let mut archive = open(bytes)?;
    let mut room = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|error| damaged(&error))?;
        let packed = part.compressed_size();
        walk_part(part, packed, &mut room, &mut |_| ())?;
    }
    Ok(())
}

fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, FileError> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    if archive.len() > MAX_PARTS {
        return Err(too_large(&format!("it has more than {MAX_PARTS} parts")));
    }
    Ok(archive)
}

fn read_part(part: impl Read, packed: u64, room: &mut u64) -> Result<Vec<u8>, FileError> {
    let mut content = Vec::new();
    walk_part(part, packed, room, &mut |bytes| {
        content.extend_from_slice(bytes);
    })?;
    Ok(content)
}

/// Hands over what a part unpacks to, piece by piece, as long as that is reasonable: sizes that are
/// written in a file may lie.
fn walk_part(
    mut part: impl Read,
    packed: u64,
    room: &mut u64,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<(), FileError> {
    let mut piece = vec![0; 64 * 1024];
    let mut unpacked = 0_u64;
    loop {
        let count = match part.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(&error)),
        };
        unpacked += count as u64;
        if count as u64 > *room {
            return Err(too_large(&format!(
                "it unpacks to more than {} MiB",
                MAX_UNPACKED_BYTES >> 20
            )));
        }
        *room -= count as u64;
        if unpacked > RATIO_FROM_BYTES && unpacked / packed.max(1) > MAX_RATIO {
            return Err(too_large(&format!(
                "a part of it unpacks to more than {MAX_RATIO} times its size"
            )));
        }
        visit(&piece[..count]);
    }
}

fn too_large(why: &str) -> FileError {
    FileError::new(
        "file.unpacks_too_large",
        format!("the file is not unpacked: {why}"),
        "export the list as CSV, and put that into the folder",
    )
}

fn damaged(_: &dyn std::error::Error) -> FileError {
    FileError::new(
        "file.damaged",
        "the file cannot be unpacked: it is damaged, half copied, or locked by a password",
        "copy it again; save it without a password",
    )
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    pub fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    pub fn gzipped(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_list_comes_out_as_it_went_in() {
        assert_eq!(gunzip(&gzipped(b"a,b")).unwrap(), b"a,b");
        let parts: &[(&str, &[u8])] = &[("__MACOSX/._l.csv", b"x"), ("show/l.csv", b"a,b")];
        let expect = ("show/l.csv".to_owned(), b"a,b".to_vec());
        assert_eq!(unzip(&zipped(parts)).unwrap(), expect);
    }

    #[test]
    fn several_lists_are_told_apart_by_people() {
        let parts: &[(&str, &[u8])] = &[("a.csv", b"x"), ("b.csv", b"y")];
        assert_eq!(unzip(&zipped(parts)).unwrap_err().code, "file.zip_parts");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let zeros = vec![0; 32 << 20];
        let code = "file.unpacks_too_large";
        assert_eq!(gunzip(&gzipped(&zeros)).unwrap_err().code, code);
        let bomb = zipped(&[("xl/worksheets/sheet1.xml", &zeros)]);
        assert_eq!(check(&bomb).unwrap_err().code, code);
        assert_eq!(unzip(&bomb).unwrap_err().code, code);
    }

    #[test]
    fn half_a_file_is_damaged() {
        let whole = zipped(&[("a.csv", b"a,b")]);
        assert_eq!(
            check(&whole[..whole.len() / 2]).unwrap_err().code,
            "file.damaged"
        );
        let whole = gzipped(b"a,b,c,d");
        assert_eq!(gunzip(&whole[..12]).unwrap_err().code, "file.damaged");
    }
}
