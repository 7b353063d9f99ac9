//! Envelopes as trees, and text on its way into one.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};

/// Elements in elements; deeper ones are refused before they cost the stack.
const MAX_DEPTH: usize = 50;

/// An element without its prefix.
#[derive(Debug, Default)]
pub(in crate::sandbox::rest) struct Element {
    pub(in crate::sandbox::rest) name: String,
    pub(in crate::sandbox::rest) text: String,
    /// `xsi:nil="true"`
    pub(in crate::sandbox::rest) is_nil: bool,
    pub(in crate::sandbox::rest) children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub(in crate::sandbox::rest) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(in crate::sandbox::rest) fn all<'e>(
        &'e self,
        name: &'e str,
    ) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name; none if it is blank or nil.
    pub(in crate::sandbox::rest) fn text_of(&self, name: &str) -> Option<&str> {
        let child = self.child(name).filter(|child| !child.is_nil)?;
        Some(child.text.trim()).filter(|text| !text.is_empty())
    }
}

/// Reads a document; the error says what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Element, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the request is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let closed = match event {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    return Err("elements stand too deep in one another".to_owned());
                }
                open.push(element(&start)?);
                continue;
            }
            Event::Empty(start) => element(&start)?,
            Event::End(_) => open.pop().ok_or("an element ends that never began")?,
            Event::Text(text) => {
                if let Some(parent) = open.last_mut() {
                    parent.text += &text;
                }
                continue;
            }
            Event::CData(data) => {
                if let Some(parent) = open.last_mut() {
                    parent.text += &data;
                }
                continue;
            }
            Event::GeneralRef(entity) => {
                let character = entity
                    .resolve_char_ref()
                    .map_err(|error| error.to_string())?;
                let name: &str = &entity;
                let Some(parent) = open.last_mut() else {
                    continue;
                };
                match (character, resolve_predefined_entity(name)) {
                    (Some(character), _) => parent.text.push(character),
                    (None, Some(text)) => parent.text += text,
                    (None, None) => return Err(format!("the entity {name} is not known")),
                }
                continue;
            }
            Event::DocType(_) => return Err("DOCTYPE is not allowed".to_owned()),
            Event::Eof => return Err("the document ends too soon".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => return Ok(closed),
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = start.local_name();
    let mut is_nil = false;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        is_nil |= attribute.key.local_name().as_ref() == "nil" && &*attribute.value == "true";
    }
    Ok(Element {
        name: name.as_ref().to_owned(),
        is_nil,
        ..Element::default()
    })
}

/// An element with this text, or `xsi:nil` without one.
pub(in crate::sandbox::rest) fn tag(name: &str, text: Option<&str>) -> String {
    match text {
        Some(text) => format!("<{name}>{}</{name}>", escape(text)),
        None => format!("<{name} xsi:nil=\"true\"/>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_entities_and_nil_are_read() {
        let text = r#"<?xml version="1.0"?><s:A xmlns:s="x"><s:b>1 &lt; 2 &amp; &#65;<![CDATA[<]]></s:b>
            <b xsi:nil="true"/><c/></s:A>"#;
        let root = parse(text.as_bytes()).unwrap();
        assert_eq!(root.name, "A");
        assert_eq!(root.text_of("b"), Some("1 < 2 & A<"));
        let nil: Vec<bool> = root.all("b").map(|b| b.is_nil).collect();
        assert_eq!(nil, [false, true]);
        assert_eq!(root.text_of("c"), None);
    }

    #[test]
    fn what_is_no_document_is_told() {
        let deep = "<a>".repeat(60);
        for text in [
            "",
            "<a>",
            "<a></b>",
            "text",
            "<a>&nope;</a>",
            "<!DOCTYPE a><a/>",
            &deep,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_escaped_and_none_is_nil() {
        assert_eq!(tag("a", Some("<&>")), "<a>&lt;&amp;&gt;</a>");
        assert_eq!(tag("a", None), "<a xsi:nil=\"true\"/>");
    }
}
