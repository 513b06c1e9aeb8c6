//! The file as it is written.
use super::{
    BTreeMap, Deserialize, HeapReply, HeapSymbol, Http, Numbers, Phase, Settings, Spanned, Stored,
};

pub type Pattern = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    pub schema: Spanned<u32>,
    pub firmware: String,
    pub build: Option<Build>,
    pub modes: Modes,
    pub connection: Connection,
    pub heap: Option<Heap>,
    pub http: Http,
    pub settings: Settings,
    pub switch: Switch,
    pub mqtt: Mqtt,
    #[serde(default)]
    pub requests: Vec<Request>,
    pub invalid: Option<Invalid>,
    pub crash: Option<Crash>,
    pub stored: Option<Spanned<Stored>>,
    pub restarts: Option<Restarts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    #[serde(default)]
    pub allowed: BTreeMap<Phase, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub in_image: Pattern,
    pub in_log: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modes {
    pub configuration: Mode,
    pub mqtt: Mode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    pub lines: Spanned<Vec<Pattern>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    pub connected: Pattern,
    pub failed: Pattern,
    pub refused: Pattern,
    pub given_up: Option<Pattern>,
    pub offline: Option<Pattern>,
    pub asks_time: Option<Pattern>,
    pub tls: Option<Pattern>,
    pub resumed: Option<Pattern>,
    pub error: Option<TlsError>,
    #[serde(default)]
    pub rc: Numbers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsError {
    pub line: Pattern,
    pub alerts: Option<u16>,
    #[serde(default)]
    pub reasons: Numbers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heap {
    pub line: Option<Pattern>,
    pub reply: Option<HeapReply>,
    pub symbol: Option<HeapSymbol>,
    pub callers: Option<Callers>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callers {
    pub line: Pattern,
    pub each: Pattern,
    #[serde(default)]
    pub wrappers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub to_mqtt: SwitchRequest,
    pub to_configuration: SwitchRequest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    pub request: String,
    pub reply: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    pub payload: String,
    pub largest_publish: Option<usize>,
    pub will_topic: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub name: String,
    #[serde(default)]
    pub query: String,
    pub reply: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invalid {
    pub requests: Vec<String>,
    pub reply: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    pub patterns: Vec<Pattern>,
}

// The map's keys are checked as heap phases by serde.
const _: fn(&BTreeMap<super::HeapPhase, String>) = |_| ();
