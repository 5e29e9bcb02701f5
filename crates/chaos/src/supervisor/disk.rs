//! A small disk that can be full: memory mounted over a folder. Needs root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What takes up the space.
const BALLAST: &str = "ballast";

/// A disk; what is on it is gone when it is dropped.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Puts an empty disk of so many MiB over a folder. What the folder holds is hidden until the disk is dropped.
    ///
    /// # Panics
    /// When it cannot be mounted: only root may.
    #[must_use]
    pub fn mount(folder: &Path, mib: usize) -> Self {
        fs::create_dir_all(folder).expect("a folder for the disk");
        let size = format!("size={mib}m,mode=0700");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "confab-chaos"])
            .arg(folder)
            .status();
        assert!(
            mount.expect("mount runs").success(),
            "a disk can only be made by root"
        );
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all the space there is.
    ///
    /// # Panics
    /// When something else goes wrong.
    pub fn fill(&self) {
        let mut ballast = File::create(self.folder.join(BALLAST)).expect("a file on the disk");
        let mut piece = vec![0; 64 * 1024];
        while !piece.is_empty() {
            match ballast.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives the space back.
    ///
    /// # Panics
    /// When it was not taken.
    pub fn free(&self) {
        fs::remove_file(self.folder.join(BALLAST)).expect("the space was taken");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it until it is closed.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
