/// The pairs of a form sent with `enctype="text/plain"`: `name=value`, then a line break. A line
/// without `=` goes on with the value before it, as lines of a text area do.
pub fn pairs(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let mut end = line_length(rest);
            let Some(equals) = name_length(&rest[..end]) else {
                rest = &rest[end..];
                continue;
            };
            while end < rest.len() {
                let next = line_length(&rest[end..]);
                if name_length(&rest[end..end + next]).is_some() {
                    break;
                }
                end += next;
            }
            let (pair, after) = rest.split_at(end);
            rest = after;
            return Some((&pair[..equals], pair[equals + 1..].trim_ascii_end()));
        }
        None
    })
}

/// The length of the first line, with its line break.
fn line_length(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1)
}

/// The length of the name that the line starts with, if it starts a pair.
fn name_length(line: &[u8]) -> Option<usize> {
    memchr::memchr(b'=', line).filter(|equals| *equals > 0)
}
