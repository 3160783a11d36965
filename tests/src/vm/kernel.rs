//! Debian's own kernel and its modules, downloaded and unpacked, never installed.
//!
//! The virtual laptop needs mac80211_hwsim and MPTCP, which the kernel of a cloud machine or a container usually
//! lacks. Called by `vm`; the result stays under `target/lab/kernel`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{packages, progress, workshop};

/// Metapackage that depends on the current kernel.
const META: &str = "linux-image-amd64";

/// An unpacked kernel.
pub(crate) struct Kernel {
    /// Release, such as `6.1.0-56-amd64`.
    pub(crate) release: String,
    /// Uncompressed ELF.
    pub(crate) image: PathBuf,
    /// Folder that holds `lib/modules/RELEASE`.
    pub(crate) root: PathBuf,
}

/// The kernel in the cache, or a fresh one.
pub(crate) fn get() -> Result<Kernel> {
    let cache = workshop::cache("kernel")?;
    if let Some(kernel) = cached(&cache)? {
        return Ok(kernel);
    }
    let package = resolve()?;
    let release = package
        .strip_prefix("linux-image-")
        .ok_or_else(|| anyhow!("odd kernel package {package}"))?
        .to_owned();
    let work = cache.join("unpacking");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    progress::step(&format!("download {package} (unpacked under target/lab, not installed)"), || {
        workshop::run(Command::new("apt-get").args(["download", "-q", &package]).current_dir(&work))
    })?;
    progress::step("unpack the kernel", || unpack(&work, &release))?;
    let root = cache.join(&release);
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::rename(&work, &root)?;
    Ok(kernel_at(root, release))
}

/// A folder counts once it has its final name: unpacking happens beside it.
fn cached(cache: &Path) -> Result<Option<Kernel>> {
    for entry in fs::read_dir(cache)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "unpacking" {
            return Ok(Some(kernel_at(cache.join(&name), name)));
        }
    }
    Ok(None)
}

fn kernel_at(root: PathBuf, release: String) -> Kernel {
    Kernel { image: root.join("vmlinux"), root, release }
}

/// Which package the metapackage stands for. An old or empty package list is refreshed once.
fn resolve() -> Result<String> {
    if let Some(name) = dependency()? {
        let known = Command::new("apt-get").args(["download", "--print-uris", "-q", &name]).output()?;
        if known.status.success() {
            return Ok(name);
        }
    }
    packages::refresh_lists()?;
    dependency()?.ok_or_else(|| anyhow!("{META} depends on no linux-image package"))
}

fn dependency() -> Result<Option<String>> {
    let output = Command::new("apt-cache").args(["depends", META]).output().context("start apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
        .map(str::to_owned))
}

fn unpack(work: &Path, release: &str) -> Result<()> {
    let package = fs::read_dir(work)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| anyhow!("apt-get download left no package"))?;
    workshop::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(work))?;
    fs::remove_file(package)?;
    // The package carries no modules.dep: its own installation script makes it.
    workshop::run(Command::new("/sbin/depmod").arg("-b").arg(work).arg(release))?;
    let compressed = work.join("boot").join(format!("vmlinuz-{release}"));
    extract(&compressed, &work.join("vmlinux"))
}

/// bzImage → ELF. QEMU starts the ELF at its PVH entry (CONFIG_PVH) in a third of the time that the kernel
/// takes to unpack itself under emulation.
fn extract(compressed: &Path, image: &Path) -> Result<()> {
    let bytes = fs::read(compressed)?;
    let payload = image.with_extension("xz");
    fs::write(&payload, payload_of(&bytes)?)?;
    // Four octets of length follow the stream: --single-stream leaves them alone.
    let output =
        Command::new("xz").args(["-dc", "--single-stream"]).arg(&payload).output().context("start xz")?;
    fs::remove_file(&payload)?;
    if !output.stdout.starts_with(b"\x7fELF") {
        bail!("{} holds no ELF kernel: {}", compressed.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::write(image, output.stdout)?)
}

/// The compressed kernel inside a bzImage, by the setup header of the x86 boot protocol: `setup_sects` at 0x1f1,
/// `payload_offset` and `payload_length` at 0x248.
fn payload_of(bytes: &[u8]) -> Result<&[u8]> {
    let field = |at: usize| -> Result<usize> {
        let raw = bytes.get(at..at + 4).ok_or_else(|| anyhow!("kernel image too short"))?;
        Ok(usize::try_from(u32::from_le_bytes(raw.try_into()?))?)
    };
    let sectors = match bytes.get(0x1f1) {
        None => bail!("kernel image too short"),
        Some(0) => 4,
        Some(&count) => usize::from(count),
    };
    let start = (sectors + 1) * 512 + field(0x248)?;
    bytes.get(start..start + field(0x24c)?).ok_or_else(|| anyhow!("kernel image cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_found_by_the_setup_header() {
        let mut image = vec![0; 0x260];
        image[0x1f1] = 1;
        image[0x248] = 3;
        image[0x24c] = 5;
        image.resize(2 * 512 + 3, 0);
        image.extend(b"hello and more");
        assert_eq!(payload_of(&image).unwrap(), b"hello");
    }

    #[test]
    fn truncated_image_is_an_error() {
        let mut image = vec![0; 0x260];
        image[0x24c] = 200;
        for length in [0, 0x1f1, 0x24a, image.len()] {
            assert!(payload_of(&image[..length]).is_err(), "{length}");
        }
    }
}
