//! A small crate in a temporary folder.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::arrows::Arrows;

/// The `src` folder of a crate, deleted on drop.
pub(super) struct Sources(PathBuf);

impl Sources {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xtask-modules-{}-{number}", std::process::id());
        let sources = Self(std::env::temp_dir().join(name));
        for (file, text) in files {
            let path = sources.0.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        sources
    }

    pub(super) fn read(&self) -> Arrows {
        Arrows::read(&self.0).unwrap()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        // Files that remain in a temporary folder are harmless.
        let _ = fs::remove_dir_all(&self.0);
    }
}
