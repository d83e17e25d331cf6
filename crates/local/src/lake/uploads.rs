//! Multipart uploads: a folder each, with the parts as they came.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::bucket::hex;
use super::checksums::Sums;
use super::error::from_io;
use super::intake::Received;
use super::key::Key;
use super::records::Attributes;
use super::temp::Temp;

/// The least size of every part but the last, in bytes.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// The uploads of one bucket.
pub(super) struct Uploads {
    folder: PathBuf,
}

/// What was said when an upload began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) attributes: Attributes,
    pub(super) initiated: SystemTime,
    /// The checksum that the parts carry, as S3 names it.
    pub(super) algorithm: Option<String>,
}

/// A part that was received.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) number: i32,
    /// MD5 of its bytes, hexadecimal.
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    pub(super) sums: Sums,
    /// The file with its bytes, in the folder of the upload.
    file: String,
}

/// A part as the client lists it at the end.
pub(super) struct Claim {
    pub(super) number: i32,
    pub(super) etag: String,
    pub(super) sums: Sums,
}

impl Uploads {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Begins an upload and gives its id.
    pub(super) fn create(
        &self,
        key: &Key,
        attributes: Attributes,
        algorithm: Option<String>,
    ) -> S3Result<Upload> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let upload =
            Upload { id, key: key.as_str().to_owned(), attributes, initiated: SystemTime::now(), algorithm };
        let folder = self.folder.join(&upload.id);
        fs::create_dir_all(&folder)
            .and_then(|()| write_json(&folder.join("upload.json"), &upload))
            .map_err(from_io)?;
        Ok(upload)
    }

    /// The upload with this id, which must be one of `key`.
    pub(super) fn get(&self, key: &Key, id: &str) -> S3Result<Upload> {
        let upload: Option<Upload> =
            read_json(&self.upload_folder(id)?.join("upload.json")).map_err(from_io)?;
        upload.filter(|upload| upload.key == key.as_str()).ok_or_else(no_such_upload)
    }

    /// All uploads that were begun and neither completed nor aborted, by key and time.
    pub(super) fn all(&self) -> S3Result<Vec<Upload>> {
        let mut uploads: Vec<Upload> = Vec::new();
        for folder in files(&self.folder).map_err(from_io)? {
            uploads.extend(read_json(&folder.join("upload.json")).map_err(from_io)?);
        }
        uploads.sort_by(|one, other| (&one.key, one.initiated).cmp(&(&other.key, other.initiated)));
        Ok(uploads)
    }

    /// Keeps what was received as a part, in place of an earlier one of the same number.
    pub(super) fn put_part(&self, upload: &Upload, number: i32, received: Received) -> S3Result<Part> {
        let folder = self.upload_folder(&upload.id)?;
        let file = format!("data-{}", uuid::Uuid::new_v4().simple());
        let part = Part {
            number,
            etag: received.md5,
            size: received.size,
            modified: SystemTime::now(),
            sums: received.sums,
            file,
        };
        let note = folder.join(format!("part-{number:05}.json"));
        let before: Option<Part> = read_json(&note).map_err(from_io)?;
        received.bytes.rename(&folder.join(&part.file)).map_err(|_| no_such_upload())?;
        write_json(&note, &part).map_err(from_io)?;
        if let Some(before) = before {
            // The data of the part it replaces; left over, it goes with the upload.
            let _ = fs::remove_file(folder.join(before.file));
        }
        Ok(part)
    }

    /// The parts received so far, by number.
    pub(super) fn parts(&self, upload: &Upload) -> S3Result<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::new();
        for file in files(&self.upload_folder(&upload.id)?).map_err(from_io)? {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // One that is being written ends differently.
            if name.strip_prefix("part-").is_some_and(|rest| rest.strip_suffix(".json").is_some()) {
                parts.extend(read_json(&file).map_err(from_io)?);
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// Joins the claimed parts in `temp`, hashing with `hasher`; gives the ETag of the whole.
    pub(super) fn join(
        &self,
        upload: &Upload,
        claims: &[Claim],
        temp: &mut Temp,
        hasher: &mut ChecksumHasher,
    ) -> S3Result<String> {
        let parts = self.claimed(upload, claims)?;
        let folder = self.upload_folder(&upload.id)?;
        let mut md5 = Md5::new();
        for part in &parts {
            let mut data = File::open(folder.join(&part.file)).map_err(|_| no_such_upload())?;
            copy_hashing(&mut data, temp.file(), hasher).map_err(from_io)?;
            md5.update(&unhex(&part.etag));
        }
        Ok(format!("{}-{}", hex(&md5.finalize()), parts.len()))
    }

    /// Forgets an upload with all its parts.
    pub(super) fn remove(&self, upload: &Upload) -> S3Result<()> {
        fs::remove_dir_all(self.upload_folder(&upload.id)?).map_err(from_io)
    }

    fn claimed(&self, upload: &Upload, claims: &[Claim]) -> S3Result<Vec<Part>> {
        let mut parts = self.parts(upload)?;
        if claims.is_empty() {
            return Err(s3_error!(MalformedXML, "You must specify at least one part"));
        }
        if !claims.is_sorted_by(|one, other| one.number < other.number) {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        let mut chosen = Vec::with_capacity(claims.len());
        for claim in claims {
            let at = parts.iter().position(|part| part.number == claim.number && claim.fits(part));
            let Some(at) = at else {
                return Err(s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found, or its entity tag or checksum differs."
                ));
            };
            chosen.push(parts.swap_remove(at));
        }
        let all_but_last = chosen.split_last().map_or(&[][..], |(_, rest)| rest);
        if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        Ok(chosen)
    }

    fn upload_folder(&self, id: &str) -> S3Result<PathBuf> {
        // An id is a name of ours, or it is none: it never leads elsewhere.
        let ours = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let folder = self.folder.join(id);
        if ours && folder.is_dir() { Ok(folder) } else { Err(no_such_upload()) }
    }
}

impl Claim {
    fn fits(&self, part: &Part) -> bool {
        let agree = |claimed: &Option<String>, held: &Option<String>| {
            claimed.is_none() || held.is_none() || claimed == held
        };
        self.etag == part.etag
            && agree(&self.sums.crc32, &part.sums.crc32)
            && agree(&self.sums.crc32c, &part.sums.crc32c)
            && agree(&self.sums.crc64nvme, &part.sums.crc64nvme)
            && agree(&self.sums.sha1, &part.sums.sha1)
            && agree(&self.sums.sha256, &part.sums.sha256)
    }
}

/// Copies all that is left of `from`, hashing it on the way; gives the number of bytes.
pub(super) fn copy_hashing(
    from: &mut impl Read,
    to: &mut File,
    hasher: &mut ChecksumHasher,
) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(copied);
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
    fs::write(&fresh, serde_json::to_vec(value)?)?;
    fs::rename(fresh, path)
}

/// `None`: there is no such file.
fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
