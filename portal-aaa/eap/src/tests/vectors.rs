//! Test vectors as text: `NAME = HEX` or `NAME = 'text'` a line, `#` begins a comment.

/// One file.
pub(crate) struct Vectors(&'static str);

impl Vectors {
    pub(crate) fn read(text: &'static str) -> Self {
        Self(text)
    }

    /// The octets of a name.
    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        let mut pairs = lines.filter_map(|line| line.split_once(" = "));
        let (_, value) = pairs.find(|(found, _)| *found == name).unwrap();
        match value.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            Some(text) => text.as_bytes().to_vec(),
            None => value.split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect(),
        }
    }

    /// The same where the length is known.
    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name).try_into().unwrap()
    }
}
