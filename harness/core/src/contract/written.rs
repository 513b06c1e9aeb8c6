//! The file as it is written.
use super::{
    BTreeMap, Deserialize, HeapReply, HeapSymbol, Http, Numbers, Phase, Settings, Spanned, Stored,
};

pub type Pattern = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenContract {
    pub schema: Spanned<u32>,
    pub firmware: String,
    pub build: Option<WrittenBuild>,
    pub modes: WrittenModes,
    pub connection: WrittenConnection,
    pub heap: Option<WrittenHeap>,
    pub http: Http,
    pub settings: Settings,
    pub switch: WrittenSwitch,
    pub mqtt: WrittenMqtt,
    #[serde(default)]
    pub requests: Vec<WrittenRequest>,
    pub invalid: Option<WrittenInvalid>,
    pub crash: Option<WrittenCrash>,
    pub stored: Option<Spanned<Stored>>,
    pub restarts: Option<WrittenRestarts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRestarts {
    #[serde(default)]
    pub allowed: BTreeMap<Phase, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenBuild {
    pub in_image: Pattern,
    pub in_log: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenModes {
    pub configuration: WrittenMode,
    pub mqtt: WrittenMode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMode {
    pub lines: Spanned<Vec<Pattern>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenConnection {
    pub connected: Pattern,
    pub failed: Pattern,
    pub refused: Pattern,
    pub given_up: Option<Pattern>,
    pub offline: Option<Pattern>,
    pub asks_time: Option<Pattern>,
    pub tls: Option<Pattern>,
    pub resumed: Option<Pattern>,
    pub error: Option<WrittenTlsError>,
    #[serde(default)]
    pub rc: Numbers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenTlsError {
    pub line: Pattern,
    pub alerts: Option<u16>,
    #[serde(default)]
    pub reasons: Numbers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenHeap {
    pub line: Option<Pattern>,
    pub reply: Option<HeapReply>,
    pub symbol: Option<HeapSymbol>,
    pub callers: Option<WrittenCallers>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCallers {
    pub line: Pattern,
    pub each: Pattern,
    #[serde(default)]
    pub wrappers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSwitch {
    pub to_mqtt: WrittenSwitchRequest,
    pub to_configuration: WrittenSwitchRequest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSwitchRequest {
    pub request: String,
    pub reply: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMqtt {
    pub payload: String,
    pub largest_publish: Option<usize>,
    pub will_topic: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRequest {
    pub name: String,
    #[serde(default)]
    pub query: String,
    pub reply: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenInvalid {
    pub requests: Vec<String>,
    pub reply: Pattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCrash {
    pub patterns: Vec<Pattern>,
}

// The map's keys are checked as heap phases by serde.
const _: fn(&BTreeMap<super::HeapPhase, String>) = |_| ();
