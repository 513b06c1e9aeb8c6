//! Connects many clients at once, repeatedly, as after an outage of a broker or an access point.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hilrig_core::units::Span;
use rumqttc::ConnectReturnCode;

use super::client::{As, Client, connect, number, tls_of};
use super::sessions::seconds;
use super::{Missed, Question};

/// Clients that the broker accepted, all at once. Dropping them closes the connections without DISCONNECT.
pub(crate) struct Crowd {
    clients: Vec<Client>,
    /// Connect time of each.
    times: Vec<Duration>,
}

impl Crowd {
    /// Connect time of the last one.
    pub(crate) fn longest(&self) -> Duration {
        self.times.iter().max().copied().unwrap_or_default()
    }
}

/// All clients connect at once, and each gets a CONNACK within the deadline.
pub(crate) async fn crowd(question: &Question<'_>) -> Result<Crowd, Missed> {
    let crowd = question.crowd;
    let tls = tls_of(question)?;
    let since = Instant::now();
    let one = async |n: usize| -> Result<(Client, Duration), String> {
        let id = format!("{}{n}", question.tag);
        match connect(question, tls.clone(), As::id(&id)).await? {
            (client, ConnectReturnCode::Success) => Ok((client, since.elapsed())),
            (_, code) => Err(format!("refused with return code {}", number(code))),
        }
    };
    let all: Vec<_> = join_all((0..crowd).map(one)).await;
    let failed = all.iter().filter(|client| client.is_err()).count();
    let all = all.into_iter().collect::<Result<Vec<_>, _>>().map_err(|found| {
        Missed::NotHeld(format!(
            "of {crowd} clients at once {failed} were not let in within {}; the first of them: {found}",
            Span(question.deadline)
        ))
    })?;
    let (clients, times) = all.into_iter().unzip();
    Ok(Crowd { clients, times })
}

/// The same clients without user and password, once: their times do not include the broker's password check. They
/// are refused, which counts as an answer. `None` if the broker does not require a password.
pub(crate) async fn without_password(question: &Question<'_>) -> Option<String> {
    question.endpoint.credentials.as_ref()?;
    let tls = tls_of(question).ok()?;
    let since = Instant::now();
    let one = async |n: usize| {
        let id = format!("{}{n}", question.tag);
        let nobody = As { nobody: true, ..As::id(&id) };
        let came = connect(question, tls.clone(), nobody).await;
        (came.map(|(client, code)| (client.tls_took, number(code))), since.elapsed())
    };
    let all: Vec<_> = join_all((0..question.crowd).map(one)).await;
    let mut times: Vec<Duration> = all.iter().map(|(_, after)| *after).collect();
    let (middle, last) = middle_and_last(&mut times);
    let mut codes: Vec<u8> =
        all.iter().filter_map(|(came, _)| came.as_ref().ok()).map(|(_, code)| *code).collect();
    let mut tls: Vec<Duration> =
        all.iter().filter_map(|(came, _)| came.as_ref().ok()).map(|(tls, _)| *tls).collect();
    let (_, tls_last) = middle_and_last(&mut tls);
    codes.sort_unstable();
    codes.dedup();
    let how = match codes.as_slice() {
        [] => "closed without a CONNACK".to_owned(),
        [0] => "let in all the same".into(),
        codes => {
            let codes: Vec<String> = codes.iter().map(u8::to_string).collect();
            format!(
                "answered with return code {}, TLS up after {} at most",
                codes.join(" and "),
                seconds(tls_last)
            )
        }
    };
    Some(format!(
        "without a password to check, {} clients at once were {how}: half of them within {}, the last after {}",
        question.crowd,
        seconds(middle),
        seconds(last)
    ))
}

fn middle_and_last(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    (middle, times.last().copied().unwrap_or_default())
}

/// The clients connect and disconnect for several rounds.
pub(super) async fn storm(question: &Question<'_>) -> Result<String, Missed> {
    let rounds = question.rounds;
    let mut times = Vec::new();
    for round in 1..=rounds {
        let crowd = crowd(question).await.map_err(|missed| match missed {
            Missed::NotHeld(found) => {
                Missed::NotHeld(format!("{found} (round {round} of {rounds})"))
            }
            other => other,
        })?;
        times.extend(crowd.times);
        join_all(crowd.clients.into_iter().map(Client::disconnect)).await;
    }
    let (middle, last) = middle_and_last(&mut times);
    let without = without_password(question).await.map(|found| format!("; {found}"));
    Ok(format!(
        "{} clients at once, {rounds} times: {} CONNACKs, half of them within {}, the last after {}{}",
        question.crowd,
        times.len(),
        seconds(middle),
        seconds(last),
        without.unwrap_or_default()
    ))
}
