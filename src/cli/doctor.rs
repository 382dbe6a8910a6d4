//! Examines registries (`probe doctor`): which ones and how, and the page that comes of it.

use super::args::{ConnectionArgs, DoctorArgs, PageArg};
use super::exit::Exit;
use super::output::print;
use super::settings::{
    Connect, Sources, UsageError, is_plain, parse_endpoint, parse_repository, registries,
};
use crate::doctor;
use crate::doctor::{Examination, Outlook};
use crate::oci::Repository;
use crate::registry::client::{Config, HttpRegistry};

/// The registries to examine.
pub(super) struct Examinations {
    registries: Vec<Config>,
    /// Where to take samples from.
    named: Vec<Repository>,
    output: PageArg,
}

impl Examinations {
    pub(super) fn resolve(sources: &Sources) -> Result<Self, UsageError> {
        let args = sources.resolve::<DoctorArgs>(None)?.args;
        let (addresses, _) = registries(sources, &args.registries, "probe doctor HOST[:PORT]")?;
        let registries = addresses.iter().map(|address| {
            let name = parse_endpoint(address, false)?.name().to_owned();
            let own = sources.resolve::<DoctorArgs>(Some(&name))?;
            let config = config(sources, address, &own.args.connection);
            config.map_err(|error| own.locate(error))
        });
        // Patterns may come from an environment that is meant for sweeps.
        let names = args.repos.iter().filter(|name| is_plain(name));
        Ok(Self {
            registries: registries.collect::<Result<_, _>>()?,
            named: names
                .map(|name| parse_repository(name))
                .collect::<Result<_, _>>()?,
            output: args.output,
        })
    }

    /// Examines them side by side, and prints one page for each.
    pub(super) async fn run(self, color: bool) -> Exit {
        let mut registries = Vec::new();
        for config in self.registries {
            let name = config.endpoint.name().to_owned();
            match HttpRegistry::new(config) {
                Ok(registry) => registries.push(registry),
                Err(error) => return super::usage_error(&format!("{name}: {error}")),
            }
        }
        let examinations = registries
            .iter()
            .map(|registry| doctor::examine(registry, &self.named));
        let examinations = futures::future::join_all(examinations).await;
        let text = match self.output {
            PageArg::Text => doctor::render(&examinations, color),
            PageArg::Json => doctor::json(&examinations),
        };
        exit(&examinations, print(text.as_bytes()))
    }
}

fn config(sources: &Sources, address: &str, args: &ConnectionArgs) -> Result<Config, UsageError> {
    let connect = Connect::new(args, sources.around)?;
    Ok(connect.config(sources.endpoint(address, args.plain_http)?))
}

/// Success only if every one of them can be swept, and if that was told.
fn exit(examinations: &[Examination], is_told: bool) -> Exit {
    let is_ready = |examination: &Examination| examination.outlook == Outlook::Ready;
    if is_told && examinations.iter().all(is_ready) {
        Exit::Intact
    } else {
        Exit::Unverified
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::settings::{Job, Surroundings, Typed, load};
    use super::*;

    fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Examinations, String> {
        let pairs = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let around = Surroundings {
            environment: pairs.collect(),
            user_id: None,
            stdin: LazyLock::new(|| Ok("piped\n".to_owned())),
        };
        let words = ["probe", "doctor"].iter().chain(arguments);
        let typed = Typed::parse(words.map(Into::into).collect()).map_err(|e| e.to_string())?;
        match load(&typed, &around).map_err(|error| error.to_string())? {
            Job::Examine(examinations) => Ok(examinations),
            _ => panic!("it is `doctor`"),
        }
    }

    #[test]
    fn registries_by_argument_or_environment() {
        let given = resolve(&["a.example", "http://b.example"], &[]).expect("usable");
        let names = |examinations: &Examinations| -> Vec<String> {
            let registries = examinations.registries.iter();
            registries
                .map(|config| config.endpoint.name().to_owned())
                .collect()
        };
        assert_eq!(names(&given), ["a.example", "b.example"]);
        let old = [("REGISTRY_HOST", "c.example"), ("REGISTRY_SCHEME", "http")];
        let found = resolve(&[], &old).expect("usable");
        assert_eq!(names(&found), ["c.example"]);
        assert!(!found.registries[0].endpoint.is_https());
    }

    #[test]
    fn patterns_name_no_sample() {
        let examinations = resolve(&["r", "--repo", "team/*,team/app"], &[]).expect("usable");
        assert_eq!(examinations.named, ["team/app".parse().expect("a name")]);
    }

    #[test]
    fn what_cannot_be_used_says_what_to_do() {
        for (arguments, expected) in [
            (&[][..], "probe doctor HOST[:PORT]"),
            (&["ftp://x"], "neither http nor https"),
            (&["r", "--repo", "A"], "--repo `A`"),
            (&["r", "--username", "u"], "--password-file"),
        ] {
            let error = resolve(arguments, &[]).err().unwrap_or_default();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
