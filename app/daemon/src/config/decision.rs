//! `decision` and `maximum_paths` under `[router]`.

use serde::{Deserialize, Serialize};
use tapway_bgp::config::{DECISION, Decision, MAXIMUM_PATHS};
use tapway_model::spec::SpecError;

use super::spec::wrong;
use super::value::Count;

/// `[router.decision]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionSpec {
    always_compare_med: Option<bool>,
    missing_med_as_worst: Option<bool>,
    ignore_as_path: Option<bool>,
    ignore_igp_metric: Option<bool>,
    multipath_relax: Option<bool>,
}

/// `maximum_paths = { external = …, internal = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaximumPathsSpec {
    external: Option<i64>,
    internal: Option<i64>,
}

/// The switches that are written, and the defaults of the others.
///
/// # Errors
/// When a number of paths is not from 1 to [`MAXIMUM_PATHS`].
pub(super) fn decision(
    spec: Option<&DecisionSpec>,
    paths: Option<&Count<MaximumPathsSpec>>,
) -> Result<Decision, SpecError> {
    let (external, internal) = match paths {
        None => (None, None),
        Some(Count::Number(number)) => (Some(*number), Some(*number)),
        Some(Count::Table(table)) => (table.external, table.internal),
    };
    let key = |relation: &str| match paths {
        Some(Count::Table(_)) => format!("maximum_paths.{relation}"),
        _ => "maximum_paths".to_owned(),
    };
    let (spec, default) = (spec.cloned().unwrap_or_default(), DECISION);
    Ok(Decision {
        always_compare_med: spec
            .always_compare_med
            .unwrap_or(default.always_compare_med),
        missing_med_is_worst: spec
            .missing_med_as_worst
            .unwrap_or(default.missing_med_is_worst),
        ignore_as_path: spec.ignore_as_path.unwrap_or(default.ignore_as_path),
        ignore_metric: spec.ignore_igp_metric.unwrap_or(default.ignore_metric),
        maximum_paths_external: number(external, default.maximum_paths_external)
            .map_err(|e| wrong(key("external"), e))?,
        maximum_paths_internal: number(internal, default.maximum_paths_internal)
            .map_err(|e| wrong(key("internal"), e))?,
        multipath_same_as: spec
            .multipath_relax
            .map_or(default.multipath_same_as, |relax| !relax),
    })
}

fn number(written: Option<i64>, default: u16) -> Result<u16, String> {
    let Some(written) = written else {
        return Ok(default);
    };
    u16::try_from(written)
        .ok()
        .filter(|paths| (1..=MAXIMUM_PATHS).contains(paths))
        .ok_or_else(|| {
            format!(
                "{written} is no number of paths; write 1 (the best route alone) to {MAXIMUM_PATHS}"
            )
        })
}

/// The switches as they would be written, all of them.
pub(super) fn written(decision: &Decision) -> (DecisionSpec, Count<MaximumPathsSpec>) {
    let spec = DecisionSpec {
        always_compare_med: Some(decision.always_compare_med),
        missing_med_as_worst: Some(decision.missing_med_is_worst),
        ignore_as_path: Some(decision.ignore_as_path),
        ignore_igp_metric: Some(decision.ignore_metric),
        multipath_relax: Some(!decision.multipath_same_as),
    };
    let (external, internal) = (
        i64::from(decision.maximum_paths_external),
        i64::from(decision.maximum_paths_internal),
    );
    let paths = match external == internal {
        true => Count::Number(external),
        false => Count::Table(MaximumPathsSpec {
            external: Some(external),
            internal: Some(internal),
        }),
    };
    (spec, paths)
}
