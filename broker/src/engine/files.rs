//! The files of a broker, and the programs that make some of them.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use hilrig_core::secrets::Ends;
use hilrig_core::text::{Secrets, printable};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout_at;

use super::place::{Place, Ports, bench, fill};
use super::render::{self, Renderer};
use crate::descriptions::{Only, Step};
use crate::error::BrokerError;
use crate::pki::Shown;

impl Place<'_> {
    /// Writes the files, and runs the programs that make the other files.
    pub(super) async fn write(&self, ports: &Ports, deadline: Instant) -> Result<(), BrokerError> {
        let (software, material) = (self.software, &self.order.material);
        let renderer = self.renderer(ports)?;
        let Shown { key_pem, root_pem, .. } = &material.shown;
        let chain = material.shown.chain_pem();
        let mut files = vec![
            (render::BUNDLE, format!("{chain}{key_pem}")),
            (render::CERTIFICATE, chain),
            (render::KEY, key_pem.clone()),
            (render::ROOT, root_pem.clone()),
        ];
        if let Some(client) = &material.client {
            files.push((render::CLIENT_CA, client.ca_pem.clone()));
        }
        if let Some(impostor) = &self.order.impostor {
            files.push((render::IMPOSTOR_CERTIFICATE, impostor.chain_pem()));
            files.push((render::IMPOSTOR_KEY, impostor.key_pem.clone()));
        }
        if let Some(second) = &material.second {
            files.push((render::SECOND_CERTIFICATE, second.chain_pem()));
            files.push((render::SECOND_KEY, second.key_pem.clone()));
        }
        for (file, template) in &software.files {
            files.push((file, renderer.fill(&software.templates[template])?));
        }
        self.folder.fill(&files).map_err(bench("write the broker's files"))?;
        for step in &software.prepare {
            let wanted = match step.only {
                None => true,
                Some(Only::SecondCertificate) => material.second.is_some(),
                Some(Only::ClientCertificate) => self.order.tls.client_certificate,
            };
            if wanted {
                self.prepare(step, &renderer, deadline).await?;
            }
        }
        Ok(())
    }

    async fn prepare(
        &self,
        step: &Step,
        renderer: &Renderer,
        deadline: Instant,
    ) -> Result<(), BrokerError> {
        let words = fill(renderer, &step.command)?;
        let (program, arguments) =
            words.split_first().ok_or_else(|| bench("prepare")("the command is empty"))?;
        let what = format!("run `{program}` for {}", self.software.title);
        let mut command =
            self.launch("", Path::new(program), arguments.to_vec(), renderer)?.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().map_err(bench(&what))?;
        let input = renderer.fill(&step.input)?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end before it has read everything; then it prints why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = timeout_at(deadline.into(), child.wait_with_output()).await;
        let output = output
            .map_err(|_| bench(&what)("it did not end before the broker's deadline"))?
            .map_err(bench(&what))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let secrets = Secrets::new([self.order.login.password.clone()]);
            let said = printable(&secrets.mask_bytes(said.trim_ascii(), Ends::Whole));
            return Err(bench(&what)(format!("{}: {said}", output.status)));
        }
        if let Some(name) = &step.output {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            self.folder.fill(&[(name, text)]).map_err(bench("write the broker's files"))?;
        }
        Ok(())
    }
}
