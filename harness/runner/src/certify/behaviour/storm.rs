//! Many clients at once, again and again, as after a broker's or an access point's outage.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hilrig_core::units::Span;
use rumqttc::ConnectReturnCode;

use super::client::{As, Client, connect, number, tls_of};
use super::sessions::seconds;
use super::{Missed, Question};

/// All of the crowd connect at once, and everybody gets a CONNACK within the deadline.
pub(super) async fn storm(question: &Question<'_>) -> Result<String, Missed> {
    let (crowd, rounds) = (question.crowd, question.rounds);
    let tls = tls_of(question)?;
    let mut times = Vec::new();
    for round in 1..=rounds {
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
        let mut clients = Vec::new();
        for client in all {
            match client {
                Ok((client, after)) => {
                    times.push(after);
                    clients.push(client);
                }
                Err(found) => {
                    return Err(Missed::NotHeld(format!(
                        "of {crowd} clients at once {failed} were not let in within {} (round {round} of {rounds}); the first of them: {found}",
                        Span(question.deadline)
                    )));
                }
            }
        }
        join_all(clients.into_iter().map(Client::disconnect)).await;
    }
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let last = times.last().copied().unwrap_or_default();
    Ok(format!(
        "{crowd} clients at once, {rounds} times: {} CONNACKs, half of them within {}, the last after {}",
        times.len(),
        seconds(middle),
        seconds(last)
    ))
}
