//! The Docker engine, asked over its socket (HTTP, Docker Engine API v1.24 and later).

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::PATIENCE;
use crate::skip::skipped;

/// An engine that answers.
pub struct Engine {
    socket: String,
}

impl Engine {
    /// The engine; without one the test is skipped with a message, unless HILRIG_REQUIRE_ENGINE is 1.
    pub fn find() -> Option<Engine> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
        let engine = Engine { socket: socket.into() };
        let found = match engine.ask("GET", "/_ping") {
            Ok((200, _)) => return Some(engine),
            Ok((status, body)) => format!("it answers a ping with {status}: {body}"),
            Err(error) => error.to_string(),
        };
        let required = std::env::var("HILRIG_REQUIRE_ENGINE").is_ok_and(|value| value == "1");
        assert!(!required, "HILRIG_REQUIRE_ENGINE=1, and no engine answers on {socket}: {found}");
        skipped(&format!("no Docker engine answers on {socket}: {found}"));
        None
    }

    fn ask(&self, method: &str, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0, so that the answer ends with the connection and comes in one piece.
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, body.to_owned()))
    }

    /// Ids of the containers, running or not, that have a label (`name` or `name=value`).
    pub fn containers(&self, label: &str) -> Vec<String> {
        let filters = format!("%7B%22label%22%3A%5B%22{}%22%5D%7D", label.replace('=', "%3D"));
        let path = format!("/containers/json?all=1&filters={filters}");
        let (status, body) = self.ask("GET", &path).expect("the engine answers");
        assert_eq!(status, 200, "listing containers: {body}");
        let list: Value = serde_json::from_str(&body).expect("the list is JSON");
        let list = list.as_array().expect("it is a list").iter();
        list.map(|one| one["Id"].as_str().expect("a container has an id").to_owned()).collect()
    }

    /// Ids of the containers of a run.
    pub fn containers_of(&self, run: &str) -> Vec<String> {
        self.containers(&format!("org.hilrig.run={run}"))
    }

    /// Kills a container.
    pub fn kill(&self, id: &str) {
        let (status, body) =
            self.ask("POST", &format!("/containers/{id}/kill")).expect("the engine answers");
        assert_eq!(status, 204, "killing container {id}: {body}");
    }
}
