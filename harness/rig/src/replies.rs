//! The contract's replies, compared with the actual ones.

use hilrig_core::contract::{Contract, Request};
use hilrig_core::text;
use regex::Regex;

/// The requests that must be refused, with the refusal.
pub fn invalid(contract: &Contract) -> impl Iterator<Item = Request> {
    let refusal = contract.invalid.reply.as_ref();
    let requests = contract.invalid.requests.iter();
    requests.filter_map(move |request| {
        Some(Request { request: request.clone(), reply: refusal?.clone() })
    })
}

/// What is wrong with a reply, if anything is.
pub fn mismatch(request: &Request, reply: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(reply);
    let matches = request.reply.is_match(&text);
    (!matches).then(|| {
        format!(
            "{}: expected `{}`, got `{}`",
            request.request,
            expected(&request.reply),
            text::printable(reply)
        )
    })
}

/// A reply as the contract has it. The pattern anchors it at both ends, because all of a reply must match.
fn expected(reply: &Regex) -> &str {
    let pattern = reply.as_str();
    let inner = pattern.strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z"));
    inner.unwrap_or(pattern)
}
