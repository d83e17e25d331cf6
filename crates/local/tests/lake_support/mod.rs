//! An engine for tests, and a small client that signs and sends whatever it is told to, right or wrong.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use dayfill_local::{Endpoint, LimitMeans, LocalConfig, LocalEngine, Runner, StartError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// An engine that runs no jobs, with a lake of its own.
pub struct Engine {
    pub home: TempDir,
    runtime: Runtime,
    running: Option<LocalEngine>,
    endpoint: Endpoint,
}

impl Engine {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(adjust: impl FnOnce(&mut LocalConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let mut config = config(home.path());
        adjust(&mut config);
        let engine = runtime.block_on(LocalEngine::start(config)).unwrap();
        let endpoint = engine.endpoint().clone();
        Self { home, runtime, running: Some(engine), endpoint }
    }

    /// A second engine with what `adjust` makes of the configuration of the first.
    pub fn try_another(&self, adjust: impl FnOnce(&mut LocalConfig)) -> Result<LocalEngine, StartError> {
        let mut config = config(self.home.path());
        adjust(&mut config);
        self.runtime.block_on(LocalEngine::start(config))
    }

    /// Ends the engine and starts it again on the same folders.
    pub fn restart(&mut self) {
        self.stop();
        let engine = self.runtime.block_on(LocalEngine::start(config(self.home.path()))).unwrap();
        self.endpoint = engine.endpoint().clone();
        self.running = Some(engine);
    }

    pub fn stop(&mut self) {
        if let Some(engine) = self.running.take() {
            self.runtime.block_on(engine.shutdown());
        }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn port(&self) -> u16 {
        self.endpoint.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn dir(&self) -> PathBuf {
        self.home.path().join("engine")
    }

    pub fn lake(&self) -> PathBuf {
        self.home.path().join("lake")
    }

    /// A signed call that can still be changed.
    pub fn call(&self, method: &str, target: &str) -> Call {
        Call::new(&self.endpoint, method, target)
    }

    pub fn get(&self, target: &str) -> Reply {
        self.call("GET", target).send()
    }

    pub fn put(&self, target: &str, body: impl AsRef<[u8]>) -> Reply {
        self.call("PUT", target).body(body).send()
    }

    /// All keys that ListObjectsV2 shows, page by page.
    pub fn keys(&self, bucket: &str, query: &str) -> Vec<String> {
        let (mut keys, mut token) = (Vec::new(), String::new());
        loop {
            let reply = self.get(&format!("/{bucket}?list-type=2{query}{token}"));
            assert_eq!(reply.status, 200, "{}", reply.text());
            keys.extend(reply.all("Key"));
            match reply.all("NextContinuationToken").pop() {
                Some(next) => token = format!("&continuation-token={next}"),
                None => return keys,
            }
        }
    }

    /// A command that finds this engine in its environment, as a job does.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("AWS_ENDPOINT_URL_S3", &self.endpoint.url)
            .env("AWS_ENDPOINT_URL_BATCH", &self.endpoint.url)
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &self.endpoint.url)
            .env("AWS_REGION", &self.endpoint.region)
            .env("AWS_DEFAULT_REGION", &self.endpoint.region)
            .env("AWS_ACCESS_KEY_ID", &self.endpoint.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.endpoint.secret_access_key)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PAGER", "")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN");
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An engine with the bucket `lake`.
pub fn with_bucket() -> Engine {
    let engine = Engine::start();
    assert_eq!(engine.put("/lake", "").status, 200);
    engine
}

/// How many files are below a folder; links are not followed.
pub fn files_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| {
        if entry.file_type().unwrap().is_dir() { files_below(&entry.path()) } else { 1 }
    };
    entries.map(|entry| count(entry.unwrap())).sum()
}

pub fn config(home: &Path) -> LocalConfig {
    LocalConfig {
        dir: home.join("engine"),
        lake: Some(home.join("lake")),
        mounts: Vec::new(),
        port: 0,
        vcpus: 1,
        memory_mib: 512,
        region: "us-east-1".into(),
        account: "123456789012".into(),
        signature_age: Duration::from_mins(15),
        dispatch: false,
        guard: Vec::new(),
        record: None,
        runner: Runner::Process,
        limit: LimitMeans::Auto,
        reclaims: None,
    }
}

/// Whether a program can be run here; says so where it cannot.
pub fn has(program: &str, arguments: &[&str]) -> bool {
    let found = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    if !found {
        skip(&format!("`{program} {}` does not run on this machine", arguments.join(" ")));
    }
    found
}

/// Says, where nobody can overlook it, that something was not tried.
pub fn skip(reason: &str) {
    // Past the harness, which keeps what `eprintln!` says of a test that passes to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Runs a command that must succeed; gives what it printed.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// One request, to be signed and sent.
#[derive(Clone)]
pub struct Call {
    pub port: u16,
    pub method: String,
    /// Path and query as they go over the wire.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub service: String,
    pub key_id: String,
    pub secret: String,
    pub date: DateTime<Utc>,
    pub host: String,
    pub signed: bool,
}

impl Call {
    pub fn new(endpoint: &Endpoint, method: &str, target: &str) -> Self {
        let host = endpoint.url.strip_prefix("http://").unwrap().to_owned();
        Self {
            port: host.rsplit(':').next().unwrap().parse().unwrap(),
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            service: "s3".into(),
            key_id: endpoint.access_key_id.clone(),
            secret: endpoint.secret_access_key.clone(),
            date: SystemTime::now().into(),
            host,
            signed: true,
        }
    }

    pub fn with(mut self, adjust: impl FnOnce(&mut Self)) -> Self {
        adjust(&mut self);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub fn send(&self) -> Reply {
        self.try_send().unwrap()
    }

    pub fn try_send(&self) -> std::io::Result<Reply> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.write_all(self.head().as_bytes())?;
        stream.write_all(&self.body)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Ok(Reply::parse(&bytes, self.method == "HEAD"))
    }

    fn head(&self) -> String {
        let mut headers = self.headers.clone();
        headers.push(("host".into(), self.host.clone()));
        if self.signed {
            headers.push(("x-amz-date".into(), self.date.format("%Y%m%dT%H%M%SZ").to_string()));
            headers.push(("x-amz-content-sha256".into(), hex(&Sha256::digest(&self.body))));
            let authorization = self.authorization(&mut headers);
            headers.push(("authorization".into(), authorization));
        }
        headers.push(("content-length".into(), self.body.len().to_string()));
        headers.push(("connection".into(), "close".into()));
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        format!("{} {} HTTP/1.1\r\n{lines}\r\n", self.method, self.target)
    }

    fn authorization(&self, headers: &mut [(String, String)]) -> String {
        headers.sort();
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let lines = lines.concat();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let payload = hex(&Sha256::digest(&self.body));
        let request =
            format!("{}\n{path}\n{}\n{lines}\n{names}\n{payload}", self.method, canonical_query(query));
        let signature = self.sign(&request);
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.key_id,
            self.scope()
        )
    }

    /// The same call with its signature in the query, good for `seconds`.
    pub fn presigned(mut self, seconds: u64) -> Self {
        let joint = if self.target.contains('?') { '&' } else { '?' };
        let credential = format!("{}/{}", self.key_id, self.scope()).replace('/', "%2F");
        let date = self.date.format("%Y%m%dT%H%M%SZ");
        self.target = format!(
            "{}{joint}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host",
            self.target
        );
        let (path, query) = self.target.split_once('?').unwrap();
        let request = format!(
            "{}\n{path}\n{}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
            self.method,
            canonical_query(query),
            self.host
        );
        let signature = self.sign(&request);
        self.target = format!("{}&X-Amz-Signature={signature}", self.target);
        self.signed = false;
        self
    }

    fn sign(&self, request: &str) -> String {
        let date = self.date.format("%Y%m%dT%H%M%SZ");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", self.scope(), hex(&Sha256::digest(request)));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in self.scope().split('/') {
            key = hmac(&key, part);
        }
        hex(&hmac(&key, &text))
    }

    fn scope(&self) -> String {
        format!("{}/us-east-1/{}/aws4_request", self.date.format("%Y%m%d"), self.service)
    }
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8], headless: bool) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the head of an answer");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunk(&reply.body);
        }
        if let Some(length) = reply.header("content-length").filter(|_| !headless && status != 304) {
            assert_eq!(length.parse(), Ok(reply.body.len()), "the whole body came");
        }
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn etag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The texts of all XML elements of this name.
    pub fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = self.text();
        let unescape = |text: &str| {
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
        };
        text.split(&open).skip(1).map(|rest| unescape(rest.split(&close).next().unwrap())).collect()
    }

    /// Status and the code of an error.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.all("Code").pop().unwrap_or_default())
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}
