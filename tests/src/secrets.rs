//! Looks for secrets in what can be read: each in every spelling in which a program might let it slip.
//!
//! Text, UTF-16, hexadecimal and base64 (wherever in its three octets it begins); digits also as telephony packs them,
//! two in an octet, in either order and beginning at either half: BCD, and TBCD of 3GPP TS 29.002 §17.7.8. Used by the
//! suites' leak cases and by `bench portal`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// Octets by which a spelling is found first. None is shorter: less would be found by chance.
const PREFIX: usize = 6;
/// Marks by which most places are passed over.
const MARKS: usize = 1 << 22;

/// What is looked for.
pub(crate) struct Secrets {
    names: Vec<String>,
    spellings: HashMap<[u8; PREFIX], Vec<(usize, Vec<u8>)>>,
    marks: Vec<u64>,
}

impl Secrets {
    /// Each with a name that may be shown.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = (String, &'a str)>) -> Self {
        let mut all =
            Self { names: Vec::new(), spellings: HashMap::new(), marks: vec![0; MARKS / u64::BITS as usize] };
        for (name, secret) in secrets {
            let which = all.names.len();
            all.names.push(name);
            for spelling in spellings(secret) {
                let Some(prefix) = spelling.first_chunk::<PREFIX>().copied() else { continue };
                let (word, bit) = mark(prefix);
                if let Some(word) = all.marks.get_mut(word) {
                    *word |= bit;
                }
                all.spellings.entry(prefix).or_default().push((which, spelling));
            }
        }
        all
    }

    /// Names of those that stand in these octets.
    pub(crate) fn within(&self, content: &[u8]) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, window) in content.windows(PREFIX).enumerate() {
            let Some(prefix) = window.first_chunk::<PREFIX>().copied() else { continue };
            let (word, bit) = mark(prefix);
            if self.marks.get(word).is_none_or(|marks| marks & bit == 0) {
                continue;
            }
            let here = content.get(at..).unwrap_or_default();
            let candidates = self.spellings.get(&prefix).map_or(&[][..], Vec::as_slice);
            found.extend(
                candidates.iter().filter(|(_, spelling)| here.starts_with(spelling)).map(|(w, _)| *w),
            );
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|which| self.names.get(which)).map(String::as_str).collect()
    }

    /// `NAME in FILE` for each that stands in these files.
    pub(crate) fn in_files(&self, files: &Files) -> Vec<String> {
        let shown = |(path, content): (&PathBuf, &Vec<u8>)| {
            let path = path.display().to_string();
            self.within(content).into_iter().map(move |name| format!("{name} in {path}")).collect::<Vec<_>>()
        };
        files.0.iter().flat_map(shown).collect()
    }
}

fn mark(prefix: [u8; PREFIX]) -> (usize, u64) {
    let [a, b, c, d, e, f] = prefix;
    // Fibonacci hashing (Knuth, TAOCP 3 §6.4).
    let hash = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let at = usize::try_from(hash >> 42).unwrap_or_default() % MARKS;
    (at / 64, 1 << (at % 64))
}

/// Files with what was in them when they were read.
#[derive(Debug, Default)]
pub(crate) struct Files(std::collections::BTreeMap<PathBuf, Vec<u8>>);

impl Files {
    /// All below these places. A file that goes meanwhile is none.
    pub(crate) fn below<P: AsRef<Path>>(places: &[P]) -> Result<Self> {
        let mut files = Self::default();
        for place in places {
            files.collect(place.as_ref())?;
        }
        Ok(files)
    }

    fn collect(&mut self, place: &Path) -> Result<()> {
        if place.is_dir() {
            for entry in fs::read_dir(place)? {
                self.collect(&entry?.path())?;
            }
        } else if place.is_file() {
            match fs::read(place) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                read => {
                    drop(self.0.insert(place.to_owned(), read.with_context(|| place.display().to_string())?))
                }
            }
        }
        Ok(())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many octets.
    pub(crate) fn octets(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether the file of this name holds this.
    pub(crate) fn has(&self, name: &str, wanted: &[u8]) -> bool {
        let contains = |content: &[u8]| content.windows(wanted.len()).any(|window| window == wanted);
        self.0.iter().any(|(path, content)| path.ends_with(name) && contains(content))
    }
}

/// Every spelling that is long enough to be none by chance.
pub(crate) fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let text = secret.as_bytes();
    let mut all = vec![
        text.to_vec(),
        secret.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        secret.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        HEXLOWER.encode(text).into_bytes(),
        HEXUPPER.encode(text).into_bytes(),
    ];
    for before in 0..3 {
        let padded = [vec![0; before].as_slice(), text].concat();
        // Characters that depend on nothing but the secret.
        let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
            all.push(encoding.encode(&padded).as_bytes().get(from..to).unwrap_or_default().to_vec());
        }
    }
    if text.iter().all(u8::is_ascii_digit) {
        let digits: Vec<u8> = text.iter().map(|digit| digit - b'0').collect();
        for from in [0, 1] {
            let pairs = || digits.get(from..).unwrap_or_default().chunks_exact(2);
            // The last, half filled octet differs by filler: the whole ones are enough to be sure.
            for swapped in [true, false] {
                let pack = |pair: &[u8]| match (pair, swapped) {
                    (&[first, second], true) => second << 4 | first,
                    (&[first, second], false) => first << 4 | second,
                    _ => 0,
                };
                let packed: Vec<u8> = pairs().map(pack).collect();
                if packed.len() >= PREFIX {
                    all.push(HEXLOWER.encode(&packed).into_bytes());
                }
                all.push(packed);
            }
        }
    }
    all.retain(|spelling| spelling.len() >= PREFIX);
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMSI: &str = "262019876543210";

    #[test]
    fn a_secret_is_found_in_each_spelling_and_only_there() {
        let secrets = Secrets::new([("IMSI".to_owned(), IMSI), ("password".to_owned(), "k7-Qz9_pW3")]);
        let all = spellings(IMSI);
        for wanted in [
            // TS 29.002: 26 20 19 …, the halves of each octet exchanged.
            vec![0x62, 0x02, 0x91, 0x78, 0x56, 0x34, 0x12],
            vec![0x26, 0x20, 0x19, 0x87, 0x65, 0x43, 0x21],
            // Mobile identity of TS 24.008 §10.5.1.4: the first digit shares an octet with the type.
            vec![0x26, 0x10, 0x89, 0x67, 0x45, 0x23, 0x01],
            b"62029178563412".to_vec(),
            b"323632303139383736353433323130".to_vec(),
            b"MjYyMDE5ODc2NTQzMjEw".to_vec(),
            b"2\x006\x002\x000\x001\x009\x008\x007\x006\x005\x004\x003\x002\x001\x000\x00".to_vec(),
        ] {
            assert!(all.contains(&wanted), "{wanted:02x?}");
        }
        for spelling in &all {
            let content = [b"before".as_slice(), spelling, b"after"].concat();
            assert_eq!(secrets.within(&content), ["IMSI"], "{spelling:02x?}");
            let cut = &spelling[..spelling.len() - 1];
            // Fourteen of fifteen digits are the whole octets of the packed number, in hexadecimal digits.
            let other = all.iter().any(|other| cut.windows(other.len()).any(|part| part == *other));
            assert_eq!(secrets.within(cut).is_empty(), !other, "{cut:02x?}");
        }
        for before in ["", "x", "xy"] {
            let hidden = BASE64_NOPAD.encode(format!("{before}k7-Qz9_pW3 and more").as_bytes());
            assert_eq!(secrets.within(hidden.as_bytes()), ["password"], "{hidden}");
        }
        assert!(secrets.within(b"2620198765432 and k7-Qz9").is_empty());
    }

    #[test]
    fn files_are_searched_and_named() {
        let folder = std::env::temp_dir().join(format!("lab-secrets-{}", std::process::id()));
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/wal"), [b"....".as_slice(), IMSI.as_bytes()].concat()).unwrap();
        fs::write(folder.join("clean"), "nothing").unwrap();
        let files = Files::below(&[&folder]).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let found = Secrets::new([("IMSI".to_owned(), IMSI)]).in_files(&files);
        assert!(
            matches!(&found[..], [one] if one.starts_with("IMSI in ") && one.ends_with("deep/wal")),
            "{found:?}"
        );
        assert!(files.has("wal", b"...") && !files.has("clean", b"...") && files.octets() == 26);
    }
}
