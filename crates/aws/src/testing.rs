//! A server on loopback that gives canned answers and counts what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dayfill_engine::ports::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::connection::{Connection, LocalEndpoint, Settings, connect};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `POST /v1/submitjob`.
    pub line: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    /// A whole answer.
    Http(u16, Vec<(&'static str, String)>, String),
    /// These bytes, then the end.
    Bytes(String),
    /// The end, without a word.
    Close,
    /// Nothing, for ever.
    Hang,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Http(status, vec![("content-type", "application/json".into())], body.to_string())
    }

    /// An error as Batch words it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let headers = vec![("x-amzn-errortype", code.to_owned()), ("x-amzn-requestid", "3f1c".into())];
        Self::Http(status, headers, serde_json::json!({ "message": message }).to_string())
    }

    pub(crate) fn xml(status: u16, body: &str) -> Self {
        Self::Http(status, vec![("content-type", "application/xml".into())], body.to_owned())
    }
}

type Answers = Arc<dyn Fn(usize, &Asked) -> Reply + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    /// Answers every request by `reply`, which is told how many came before it.
    pub(crate) async fn start(reply: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Some(Arc::new(reply))).await
    }

    /// Closes every connection before a request is read.
    pub(crate) async fn closing() -> Self {
        Self::listen(None).await
    }

    async fn listen(reply: Option<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, asked: Arc::default(), connections: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                *own.connections.lock().unwrap() += 1;
                let Some(reply) = reply.clone() else { continue };
                let own = own.clone();
                tokio::spawn(async move {
                    let Some(asked) = read_request(&mut stream).await else { return };
                    let before = {
                        let mut all = own.asked.lock().unwrap();
                        all.push(asked.clone());
                        all.len() - 1
                    };
                    answer(&mut stream, reply(before, &asked)).await;
                });
            }
        });
        server
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub(crate) async fn connection(&self) -> Connection {
        connection_to(&format!("http://{}", self.address)).await
    }
}

pub(crate) async fn connection_to(url: &str) -> Connection {
    let local = LocalEndpoint {
        url: url.to_owned(),
        region: "eu-west-1".into(),
        access_key_id: "AKID".into(),
        secret_access_key: "secret".into(),
    };
    connect(Settings { local: Some(local), ..Settings::default() }).await.unwrap()
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<_> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_lowercase(), v.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { line, headers, body: String::from_utf8(body).ok()? })
}

async fn answer(stream: &mut TcpStream, reply: Reply) {
    let bytes = match reply {
        Reply::Http(status, headers, body) => {
            let mut head = format!(
                "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n",
                body.len()
            );
            head.extend(headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")));
            format!("{head}\r\n{body}")
        }
        Reply::Bytes(bytes) => bytes,
        Reply::Close => return,
        Reply::Hang => return std::future::pending().await,
    };
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// A clock that stands still at this moment of monotonic time.
#[derive(Clone, Copy)]
pub(crate) struct Frozen(pub Duration);

#[async_trait::async_trait]
impl Clock for Frozen {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.0
    }

    fn monotonic(&self) -> Duration {
        self.0
    }

    async fn sleep(&self, _: Duration) {}
}
