//! Crashes (the program ends, the kernel goes on) on real files, and power cuts on a model of a disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::*;

/// The kernel's disk, on which the program dies: after so many steps, and in the middle of a write.
pub(in crate::vault) struct Dying {
    files: Files,
    left: usize,
}

impl Dying {
    /// So many steps are done.
    pub(in crate::vault) fn after(steps: usize) -> Self {
        Self { files: Files::default(), left: steps }
    }

    fn step(&mut self) -> io::Result<&mut Files> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("crash"))?;
        Ok(&mut self.files)
    }
}

impl Disk for Dying {
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step()?.remove(path)
    }

    fn create(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.step()?.create(path, mode)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let (first, second) = octets.split_at(octets.len() / 2);
        self.step()?.write(first)?;
        self.step()?.write(second)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.step()?.flush()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?.rename(from, to)
    }

    fn flush_directory(&mut self, directory: &Path) -> io::Result<()> {
        self.step()?.flush_directory(directory)
    }
}

type Names = BTreeMap<PathBuf, usize>;

/// A disk as careful programs must take it to be: of what was not flushed anything may be lost. Names change in the
/// order in which they were changed, but any number of the last changes may be missing; octets that were not flushed may be
/// there, be missing from some place on, or be zeros (ext4 and XFS with delayed allocation show all three).
#[derive(Clone, Default)]
struct Model {
    /// Names as they last, and then after each change since.
    names: Vec<Names>,
    /// Octets of each file, and whether they last.
    files: Vec<(Vec<u8>, bool)>,
    writes_to: usize,
    /// Steps that are left, where they are counted.
    left: Option<usize>,
    /// A program that forgets to flush files.
    careless: bool,
}

impl Model {
    /// With this file, that lasts; and without it.
    fn holding(path: &Path, octets: Option<&[u8]>) -> Self {
        let names = octets.map(|_| (path.to_owned(), 0)).into_iter().collect();
        let files = octets.map(|octets| (octets.to_vec(), true)).into_iter().collect();
        Self { names: vec![names], files, ..Self::default() }
    }

    fn step(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("power cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Names)) {
        let mut names = self.names.last().cloned().unwrap_or_default();
        change(&mut names);
        self.names.push(names);
    }

    /// What may stand at this name when the power comes back; none for no file.
    fn afterwards(&self, path: &Path) -> BTreeSet<Option<Vec<u8>>> {
        let mut seen = BTreeSet::new();
        for names in &self.names {
            let Some(number) = names.get(path) else {
                seen.insert(None);
                continue;
            };
            let (octets, lasts) = &self.files[*number];
            seen.insert(Some(octets.clone()));
            if !lasts {
                seen.extend((0..octets.len()).map(|length| Some(octets[..length].to_vec())));
                seen.extend((0..octets.len()).map(|from| {
                    let mut holed = octets.clone();
                    holed[from..].fill(0);
                    Some(holed)
                }));
            }
        }
        seen
    }
}

impl Disk for Model {
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.change(|names| _ = names.remove(path));
        Ok(())
    }

    fn create(&mut self, path: &Path, _: u32) -> io::Result<()> {
        self.step()?;
        self.writes_to = self.files.len();
        self.files.push((Vec::new(), false));
        let number = self.writes_to;
        self.change(|names| _ = names.insert(path.to_owned(), number));
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        for octet in octets {
            self.step()?;
            self.files[self.writes_to].0.push(*octet);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.step()?;
        self.files[self.writes_to].1 |= !self.careless;
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        self.change(|names| {
            if let Some(number) = names.remove(from) {
                names.insert(to.to_owned(), number);
            }
        });
        Ok(())
    }

    fn flush_directory(&mut self, _: &Path) -> io::Result<()> {
        self.step()?;
        self.names.drain(..self.names.len() - 1);
        Ok(())
    }
}

const PATH: &str = "/state/vault";

/// What may be at the path when the power is cut after each number of steps; the last is when all are done.
fn cuts(old: Option<&[u8]>, new: &[u8], careless: bool) -> Vec<BTreeSet<Option<Vec<u8>>>> {
    let mut seen = Vec::new();
    for steps in 0.. {
        let mut disk = Model { left: Some(steps), careless, ..Model::holding(Path::new(PATH), old) };
        let done = replace_on(&mut disk, Path::new(PATH), new, 0o600);
        seen.push(disk.afterwards(Path::new(PATH)));
        if done.is_ok() {
            break;
        }
    }
    seen
}

#[test]
fn a_power_cut_at_any_moment_leaves_the_old_or_the_new_whole() {
    for old in [None, Some(b"the old one".as_slice())] {
        let new = b"the new one, and longer";
        let seen = cuts(old, new, false);
        assert_eq!(seen.len(), new.len() + 6, "each octet and each other step");
        let (old, new) = (old.map(<[u8]>::to_vec), Some(new.to_vec()));
        for (steps, states) in seen.iter().enumerate() {
            let whole = states.iter().all(|state| [&old, &new].contains(&state));
            assert!(whole, "after {steps} steps: {states:?}");
        }
        assert_eq!(seen.last(), Some(&BTreeSet::from([new])), "what is done lasts");
    }
}

#[test]
fn the_model_would_find_a_forgotten_flush() {
    let (old, new) = (b"old".as_slice(), b"new!".as_slice());
    let torn = |states: &BTreeSet<Option<Vec<u8>>>| {
        states.iter().flatten().any(|octets| octets.as_slice() != old && octets.as_slice() != new)
    };
    assert!(cuts(Some(old), new, true).iter().any(torn));
}

#[test]
fn what_a_power_cut_left_beside_does_not_stand_in_the_way() {
    for steps in 0..8 {
        let mut disk = Model { left: Some(steps), ..Model::holding(Path::new(PATH), Some(b"a")) };
        let _ = replace_on(&mut disk, Path::new(PATH), b"bb", 0o600);
        disk.left = None;
        replace_on(&mut disk, Path::new(PATH), b"ccc", 0o600).expect("goes on");
        assert_eq!(disk.afterwards(Path::new(PATH)), BTreeSet::from([Some(b"ccc".to_vec())]));
        let names = disk.names.last().expect("names");
        assert_eq!(names.keys().collect::<Vec<_>>(), [Path::new(PATH)]);
    }
}
