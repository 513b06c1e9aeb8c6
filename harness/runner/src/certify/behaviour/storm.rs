//! Many clients at once, again and again, as after a broker's or an access point's outage.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hilrig_core::units::Span;
use rumqttc::ConnectReturnCode;

use super::client::{As, Client, connect, number, tls_of};
use super::sessions::seconds;
use super::{Missed, Question};

/// Clients that the broker has let in, all at once. Dropped, they are cut off without a word.
pub(in crate::certify) struct Crowd {
    clients: Vec<Client>,
    /// How long each took.
    times: Vec<Duration>,
}

impl Crowd {
    /// Of the last one.
    pub(in crate::certify) fn longest(&self) -> Duration {
        self.times.iter().max().copied().unwrap_or_default()
    }
}

/// All of the crowd connect at once, and everybody gets a CONNACK within the deadline.
pub(in crate::certify) async fn crowd(question: &Question<'_>) -> Result<Crowd, Missed> {
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

/// The crowd comes and goes, some rounds.
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
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let last = times.last().copied().unwrap_or_default();
    Ok(format!(
        "{} clients at once, {rounds} times: {} CONNACKs, half of them within {}, the last after {}",
        question.crowd,
        times.len(),
        seconds(middle),
        seconds(last)
    ))
}
