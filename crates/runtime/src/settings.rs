//! Settings from layers: embedded defaults < file < environment.
//!
//! What the keys are is not known here: each crate owns its slice and the binary puts them together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use serde::de::DeserializeOwned;

/// Prefix and separator of environment variables: `CONFAB__THREADS__DATABASE__URL` is `threads.database.url`.
pub const PREFIX: &str = "CONFAB";
const SEPARATOR: &str = "__";

/// Why settings could not be read; the text names the key or file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value has the wrong type, a key is unknown, a file does not parse.
    #[error(transparent)]
    Invalid(#[from] config::ConfigError),
    /// The `.env` file does not parse.
    #[error("cannot read {}", path.display())]
    DotEnv {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with its line.
        source: dotenvy::Error,
    },
}

/// Where settings come from, weakest first.
#[derive(Debug, Default)]
pub struct Layers<'a> {
    /// TOML text that holds every key with its default.
    pub defaults: &'a str,
    /// A TOML file that overrides some of them; must exist when given.
    pub file: Option<&'a Path>,
    /// Values by dotted key, from environment variables that have names of their own.
    pub aliases: Vec<(String, String)>,
    /// All environment variables; those that start with `CONFAB__` count.
    pub environment: HashMap<String, String>,
}

/// Settings after all layers, still without a shape.
#[derive(Debug)]
pub struct Merged(Config);

impl Layers<'_> {
    /// Puts the layers together.
    pub fn merge(self) -> Result<Merged, SettingsError> {
        let mut builder =
            Config::builder().add_source(File::from_str(self.defaults, FileFormat::Toml));
        if let Some(path) = self.file {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        for (key, value) in self.aliases {
            builder = builder.set_override(key, value)?;
        }
        // Overrides beat sources in `config`, so the environment has to be overrides too.
        let environment = Environment::with_prefix(PREFIX)
            .prefix_separator(SEPARATOR)
            .separator(SEPARATOR)
            .source(Some(self.environment));
        for (key, value) in config::Source::collect(&environment)? {
            builder = builder.set_override(key, value)?;
        }
        Ok(Merged(builder.build()?))
    }
}

impl Merged {
    /// The settings in their shape. Unknown keys are refused by `T` (`deny_unknown_fields`).
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        Ok(self.0.clone().try_deserialize()?)
    }
}

/// The process environment over the variables of a `.env` file, if there is one. The file is read leniently: spaces
/// around `=`, comments at the end of a line, `export`, quotes.
pub fn environment(dot_env: &Path) -> Result<HashMap<String, String>, SettingsError> {
    let mut variables = HashMap::new();
    match dotenvy::from_path_iter(dot_env) {
        Ok(lines) => {
            for line in lines {
                let (key, value) = line.map_err(|source| SettingsError::DotEnv {
                    path: dot_env.to_owned(),
                    source,
                })?;
                variables.insert(key, value);
            }
        }
        Err(error) if error.not_found() => {}
        Err(source) => {
            return Err(SettingsError::DotEnv {
                path: dot_env.to_owned(),
                source,
            });
        }
    }
    variables.extend(
        std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
    );
    Ok(variables)
}

/// A list that may also be written as one text with commas, as an environment variable must.
///
/// For `#[serde(deserialize_with = "…")]`.
pub fn comma_separated<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned + std::str::FromStr,
    T::Err: std::fmt::Display,
{
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Written<T> {
        Text(String),
        Texts(Vec<String>),
        Items(Vec<T>),
    }
    let parse = |item: &str| {
        item.trim()
            .parse()
            .map_err(|error| serde::de::Error::custom(format!("{item:?}: {error}")))
    };
    match <Written<T> as serde::Deserialize>::deserialize(deserializer)? {
        Written::Text(text) => text
            .split(',')
            .filter(|item| !item.trim().is_empty())
            .map(parse)
            .collect(),
        Written::Texts(items) => items.iter().map(|item| parse(item)).collect(),
        Written::Items(items) => Ok(items),
    }
}
