//! Other firewalls that drop what is forwarded: Docker and many rule sets set the policy of FORWARD to drop.

use std::process::Command;

use serde_json::Value;
use tapway_api::doctor::{Check, CheckStatus};

use super::with_remedy;

const NAME: &str = "forward-drop";

/// Looks for base chains on the forward hook whose policy is drop.
pub(super) fn check_text(ruleset: &str) -> Result<Vec<String>, serde_json::Error> {
    let ruleset: Value = serde_json::from_str(ruleset)?;
    let items = ruleset["nftables"].as_array().cloned().unwrap_or_default();
    Ok(items
        .iter()
        .map(|item| &item["chain"])
        .filter(|chain| chain["hook"] == "forward" && chain["policy"] == "drop")
        .map(|chain| {
            let word = |key: &str| chain[key].as_str().unwrap_or("?").to_owned();
            format!(
                "chain {} in table {} {}",
                word("name"),
                word("family"),
                word("table")
            )
        })
        .collect())
}

/// Asks `nft` for the chains of every table; iptables' own are among them when it is the nft flavour.
pub(super) fn check() -> Check {
    let output = match Command::new("nft").args(["-j", "list", "chains"]).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return super::check(NAME, CheckStatus::Skipped, format!("nft says: {why}"));
        }
        Err(error) => {
            return with_remedy(
                super::check(
                    NAME,
                    CheckStatus::Skipped,
                    format!("nft cannot be run: {error}"),
                ),
                "install nftables to have other firewalls checked",
            );
        }
    };
    match check_text(&String::from_utf8_lossy(&output.stdout)) {
        Ok(chains) => verdict(chains),
        Err(error) => super::check(
            NAME,
            CheckStatus::Skipped,
            format!("nft's answer cannot be read: {error}"),
        ),
    }
}

fn verdict(chains: Vec<String>) -> Check {
    if chains.is_empty() {
        return super::check(
            NAME,
            CheckStatus::Ok,
            "no firewall drops forwarded packets by default",
        );
    }
    let mut found = with_remedy(
        super::check(
            NAME,
            CheckStatus::Warning,
            "a firewall drops forwarded packets unless a rule of it accepts them",
        ),
        "accept traffic from and to the guests' interfaces in that chain, or set its policy to accept",
    );
    found.detail = chains;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_chain_with_policy_drop_is_found() {
        let text = r#"{"nftables":[{"metainfo":{"version":"1.0.6"}},
            {"chain":{"family":"ip","table":"filter","name":"FORWARD","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
            {"chain":{"family":"ip","table":"filter","name":"INPUT","handle":2,"type":"filter","hook":"input","prio":0,"policy":"drop"}},
            {"chain":{"family":"ip","table":"filter","name":"OTHER","handle":3}}]}"#;
        assert_eq!(
            check_text(text).unwrap(),
            ["chain FORWARD in table ip filter"]
        );
        assert!(check_text("{\"nftables\":[]}").unwrap().is_empty());
        assert!(check_text("nonsense").is_err());
        assert_eq!(
            verdict(vec!["chain FORWARD in table ip filter".into()]).status,
            CheckStatus::Warning
        );
    }
}
