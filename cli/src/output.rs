//! Where results go.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// Standard output, or a file that appears only when it is whole.
pub(crate) enum Output {
    Stdout(BufWriter<Stdout>),
    /// A device, a pipe: what cannot be put in place by renaming.
    Special(File),
    File(Box<BufWriter<NamedTempFile>>, PathBuf),
}

impl Output {
    /// Standard output for none.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Output::Stdout(BufWriter::new(io::stdout()))) };
        let unwritable = |error: io::Error| Failure::local(format!("cannot write {}", path.display()), error);
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let file = OpenOptions::new().write(true).open(&path).map_err(unwritable)?;
            return Ok(Output::Special(file));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".lakehouse-")
            // As any new file: what the umask leaves of it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(unwritable)?;
        Ok(Output::File(Box::new(BufWriter::new(file)), path))
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Output::Stdout(stdout) => stdout.get_ref().is_terminal(),
            Output::Special(file) => file.is_terminal(),
            Output::File(..) => false,
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer().write_all(bytes).map_err(Failure::output)
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Output::Stdout(stdout) => stdout,
            Output::Special(file) => file,
            Output::File(file, _) => file.as_mut(),
        }
    }

    /// Everything was written: a file takes its name, in place of what had it before.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.writer().flush().map_err(Failure::output)?;
        if let Output::File(file, path) = self {
            let file = file.into_inner().map_err(|error| Failure::output(error.into_error()))?;
            file.persist(&path).map_err(|e| Failure::local(format!("cannot write {}", path.display()), e.error))?;
        }
        Ok(())
    }
}

/// A short result on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = Output::open(None)?;
    output.write_all(text.as_bytes())?;
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        let mut output = Output::open(Some(path.clone())).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut output = Output::open(Some(path.clone())).unwrap();
        output.write_all(b"whole").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"whole");
    }
}
