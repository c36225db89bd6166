//! What cargo says of the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{cargo, output};

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its root folder.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// Its crates.
    pub crates: Vec<Crate>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, from the root: `core/model`.
    pub folder: String,
    /// Names of the crates that its library and programs link.
    pub links: Vec<String>,
    /// Names of its integration tests.
    pub tests: Vec<String>,
    /// Names of its programs.
    pub programs: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Workspace> {
        let text = output(&mut cargo("metadata --format-version 1 --no-deps"))?;
        let value: Value = serde_json::from_str(&text)?;
        let path = |key: &str| {
            let text = value[key].as_str();
            text.map(PathBuf::from)
                .with_context(|| format!("cargo metadata has no {key}"))
        };
        let root = path("workspace_root")?;
        let crates = list(&value["packages"])
            .map(|package| Crate::read(package, &root))
            .collect::<Result<_>>()?;
        Ok(Workspace {
            target: path("target_directory")?,
            root,
            crates,
        })
    }

    /// The crates of the pure core.
    pub(crate) fn core(&self) -> impl Iterator<Item = &Crate> {
        self.crates.iter().filter(|c| c.is_core())
    }
}

impl Crate {
    fn read(package: &Value, root: &Path) -> Result<Crate> {
        let text = |key: &str| {
            let text = package[key].as_str();
            text.with_context(|| format!("cargo metadata: a package without {key}"))
        };
        let manifest = Path::new(text("manifest_path")?);
        let folder = manifest.parent().unwrap_or(root).strip_prefix(root)?;
        let targets = |kind: &str| {
            list(&package["targets"])
                .filter(|t| list(&t["kind"]).any(|k| k == kind))
                .filter_map(|t| Some(t["name"].as_str()?.to_string()))
                .collect()
        };
        Ok(Crate {
            name: text("name")?.to_string(),
            folder: folder.to_string_lossy().into_owned(),
            // A normal dependency has no kind.
            links: list(&package["dependencies"])
                .filter(|d| d["kind"].is_null())
                .filter_map(|d| Some(d["name"].as_str()?.to_string()))
                .collect(),
            tests: targets("test"),
            programs: targets("bin"),
        })
    }

    /// Whether it belongs to the pure core.
    pub(crate) fn is_core(&self) -> bool {
        self.folder.starts_with("core/")
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
