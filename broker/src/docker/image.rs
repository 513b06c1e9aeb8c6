//! The image for the broker's container: one that exists, one that can be pulled, or one that is built from this
//! machine's Mosquitto and its libraries and nothing else.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use testcontainers::GenericBuildableImage;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use testcontainers::runners::AsyncBuilder;
use tokio::time::timeout;

use crate::docker::why;
use crate::program::{self, Mosquitto};

/// Deadline for the registry's first answer. Without a network the engine's own timeout is much longer.
const FIRST_WORD: Duration = Duration::from_secs(8);
/// Deadline for a whole pull; Mosquitto's image has 12 MB.
const WHOLE_PULL: Duration = Duration::from_secs(180);
/// Deadline for a build: it took a second when measured.
const BUILD: Duration = Duration::from_secs(60);

/// Repository of the images that are built here.
const OWN: &str = "hilrig/mosquitto";

/// The name of an image that is on the engine: `wanted`, pulled if needed, or one that is built from the Mosquitto at
/// `executable`, if there is one. The error has what was tried and what to do.
pub(crate) async fn get(
    engine: &Docker,
    wanted: &str,
    executable: Option<&Path>,
    notes: &mut dyn FnMut(String),
) -> Result<String, String> {
    let asked = is_there(engine, wanted).await;
    if asked.map_err(|found| format!("no Docker engine answers ({found})"))? {
        return Ok(wanted.to_owned());
    }
    let own = executable.map(OwnImage::of);
    // Before the registry is queried: an unreachable registry would delay every run.
    if let Some(Ok(own)) = &own
        && is_there(engine, &own.name()).await.unwrap_or(false)
    {
        tracing::info!("{wanted} is not on the engine: {} was built before", own.name());
        return Ok(own.name());
    }
    notes(format!("pulling the broker's image {wanted}"));
    let pull = match pull(engine, wanted).await {
        Ok(()) => return Ok(wanted.to_owned()),
        Err(found) => found,
    };
    let built = match own {
        Some(Ok(own)) => own.build(engine).await.map(|()| own.name()),
        Some(Err(found)) => Err(found),
        None => return Err(format!("the image {wanted} cannot be pulled: {pull}")),
    };
    match built {
        Ok(name) => {
            notes(format!(
                "{wanted} cannot be pulled ({pull}): built {name} from this machine's Mosquitto"
            ));
            Ok(name)
        }
        Err(build) => Err(format!(
            "no image. Pulling {wanted}: {pull}. Building one from this machine's Mosquitto: {build}. \
             Install Mosquitto (`apt-get install mosquitto`), or pull the image where there is a network \
             (`docker pull {wanted}`)"
        )),
    }
}

/// Whether the engine has an image. The error is the reason why there is no answer.
pub(crate) async fn is_there(engine: &Docker, name: &str) -> Result<bool, String> {
    match timeout(FIRST_WORD, engine.inspect_image(name)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(Error::DockerResponseServerError { status_code: 404, .. })) => Ok(false),
        Ok(Err(error)) => Err(why(&error)),
        Err(_) => Err(format!("it does not say within {FIRST_WORD:?} whether it has {name}")),
    }
}

async fn pull(engine: &Docker, name: &str) -> Result<(), String> {
    let (repository, tag) = split(name);
    let options = CreateImageOptionsBuilder::new().from_image(repository).tag(tag).build();
    let mut progress = Box::pin(engine.create_image(Some(options), None, None));
    let pulling = async {
        let mut word = timeout(FIRST_WORD, progress.next())
            .await
            .map_err(|_| format!("the registry said nothing within {} s", FIRST_WORD.as_secs()))?;
        while let Some(said) = word {
            said.map_err(|error| why(&error))?;
            word = progress.next().await;
        }
        Ok(())
    };
    timeout(WHOLE_PULL, pulling)
        .await
        .unwrap_or_else(|_| Err(format!("not done within {} s", WHOLE_PULL.as_secs())))
}

/// Repository and tag (or digest) of an image's name.
pub(crate) fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        // A colon before a slash is a registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// An image of this machine's Mosquitto.
pub(crate) struct OwnImage {
    tag: String,
    /// The executable and its libraries: their paths on this machine and in the image.
    files: Vec<PathBuf>,
    executable: PathBuf,
}

impl OwnImage {
    /// Finds the files of the image. The tag depends on its contents, so that an update of any
    /// library causes a new build.
    pub fn of(executable: &Path) -> Result<OwnImage, String> {
        let path = program::look_up(executable)?;
        // Both at once: each takes some 20 ms, and a run waits for them.
        let libraries = Libraries::ask(&path)?;
        let mosquitto = Mosquitto::find(&path)?;
        let files = libraries.answer()?;
        let mut digest = Sha256::new();
        for file in [&mosquitto.path].into_iter().chain(&files) {
            // Not the contents: reading 15 MB in every run, mostly unchanged, is a waste.
            let meta = file.metadata().map_err(|e| format!("{}: {e}", file.display()))?;
            digest.update(format!(
                "{} {} {} {}\n",
                file.display(),
                meta.len(),
                meta.mtime(),
                meta.mtime_nsec()
            ));
        }
        let digest: String = digest.finalize()[..6].iter().map(|b| format!("{b:02x}")).collect();
        let version: String = mosquitto
            .version
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
            .collect();
        Ok(OwnImage { tag: format!("{version}-{digest}"), files, executable: mosquitto.path })
    }

    /// Repository and tag.
    pub fn name(&self) -> String {
        format!("{OWN}:{}", self.tag)
    }

    async fn build(&self, engine: &Docker) -> Result<(), String> {
        let mut image = GenericBuildableImage::new(OWN, &self.tag)
            .with_dockerfile_string("FROM scratch\nCOPY root /\n")
            .with_file(self.executable.clone(), "root/usr/sbin/mosquitto")
            .with_data("root:x:0:0:root:/:/\nmosquitto:x:1883:1883::/:/\n", "root/etc/passwd")
            .with_data("root:x:0:\nmosquitto:x:1883:\n", "root/etc/group");
        for file in &self.files {
            image = image.with_file(file.clone(), format!("root{}", file.display()));
        }
        match timeout(BUILD, image.build_image()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(why(&error)),
            Err(_) => return Err(format!("not built within {} s", BUILD.as_secs())),
        }
        if let Err(error) = self.remove_older(engine).await {
            tracing::warn!("cannot remove older images of {OWN}: {error}");
        }
        Ok(())
    }

    /// Removes the images that were built here before the last update of Mosquitto.
    async fn remove_older(&self, engine: &Docker) -> Result<(), Error> {
        let filters = HashMap::from([("reference", vec![OWN])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        for image in engine.list_images(Some(options)).await? {
            for name in image.repo_tags.iter().filter(|name| **name != self.name()) {
                let options = RemoveImageOptionsBuilder::new().build();
                match engine.remove_image(name, Some(options), None).await {
                    // Another run has a container of it; the next build removes it.
                    Ok(_) | Err(Error::DockerResponseServerError { status_code: 409, .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Determines which files an executable needs, as the dynamic loader finds them.
struct Libraries(Child);

impl Libraries {
    fn ask(executable: &Path) -> Result<Libraries, String> {
        let child = Command::new("ldd")
            .env_clear()
            .envs(crate::environment::clean())
            .arg(executable)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        child.map(Libraries).map_err(|error| format!("ldd cannot be run: {error}"))
    }

    fn answer(self) -> Result<Vec<PathBuf>, String> {
        let output = self.0.wait_with_output().map_err(|error| format!("ldd: {error}"))?;
        if !output.status.success() {
            return Err(format!("ldd: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        parse_ldd(&String::from_utf8_lossy(&output.stdout))
    }
}

fn parse_ldd(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.contains("not found") {
            return Err(format!("a library is missing: {line}"));
        }
        // `name => /path (0x...)`, or `/path (0x...)`, or `linux-vdso.so.1 (0x...)` without a file.
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        if path.starts_with('/') {
            files.push(path.split(" (").next().unwrap_or(path).into());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_tag() {
        assert_eq!(split("eclipse-mosquitto:2"), ("eclipse-mosquitto", "2"));
        assert_eq!(split("eclipse-mosquitto"), ("eclipse-mosquitto", "latest"));
        assert_eq!(split("localhost:5000/m"), ("localhost:5000/m", "latest"));
        assert_eq!(split("localhost:5000/m:3"), ("localhost:5000/m", "3"));
    }

    #[test]
    fn the_loaders_list_gives_the_files() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let files = ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(parse_ldd(text).unwrap(), files);
        assert!(parse_ldd("\tlibx.so.1 => not found\n").unwrap_err().contains("libx.so.1"));
    }
}
