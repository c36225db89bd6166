//! `tcp_ao`: refused, with what the kernel says of it.

use std::io;

use tapway_model::spec::SpecError;

use crate::config::spec::wrong;
use crate::config::value::NotYet;

/// Refuses the key unless it is off. The kernel is asked only when somebody wants TCP-AO.
///
/// # Errors
/// That there is none, whose fault that is, and what to write instead.
pub(super) fn refuse(key: Option<NotYet>) -> Result<(), SpecError> {
    match key {
        Some(NotYet::On) => Err(wrong("tcp_ao", reason(tapway_sys::ao::is_there()))),
        Some(NotYet::Off) | None => Ok(()),
    }
}

fn reason(there: io::Result<bool>) -> String {
    let why = match there {
        Ok(false) => {
            "this kernel has no TCP-AO (RFC 5925): it needs Linux 6.7 or later, built with CONFIG_TCP_AO"
                .to_owned()
        }
        Ok(true) => {
            "the kernel has TCP-AO (RFC 5925), but this version of tapway does not use it".to_owned()
        }
        Err(error) => format!("whether the kernel has TCP-AO (RFC 5925) cannot be found out ({error})"),
    };
    format!("{why}; write password for TCP MD5 instead, or remove the key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_apart() {
        let lost = || io::Error::from_raw_os_error(24);
        for (there, words) in [
            (Ok(false), "this kernel has no TCP-AO"),
            (Ok(true), "this version of tapway does not use it"),
            (Err(lost()), "cannot be found out (Too many open files"),
        ] {
            let text = reason(there);
            assert!(
                text.contains(words) && text.contains("write password"),
                "{text}"
            );
        }
        assert!(refuse(None).is_ok() && refuse(Some(NotYet::Off)).is_ok());
        let error = refuse(Some(NotYet::On)).unwrap_err();
        assert_eq!(error.key, "tcp_ao");
        assert_eq!(error.reason, reason(tapway_sys::ao::is_there()));
    }
}
