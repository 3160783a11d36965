//! Which policy is obeyed: one that a trusted key has signed, and none older than the one before.
//!
//! Before the first signed one comes, the plain policy of the reply counts: that is how portals of version 0.1.0 work.
//! From the first one on, which came over HTTPS or under a key of the configuration, only signed ones count. What is
//! obeyed stands in every credential that is held, so that falling back to an older credential is no way back to an
//! older policy.

use provisioning::{
    message::{Credential, Policy, Threshold},
    signed::{PolicyKey, SignedError},
};

use super::Keeper;

/// Weaker than any signal that a card tells, dBm.
const ANY_SIGNAL_DBM: i32 = -120;

/// Why the policy of a credential is not obeyed; the one before goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disobeyed {
    /// No key that is trusted here has signed it, or it is no policy.
    #[error("{0}")]
    Signed(#[from] SignedError),
    /// It is not signed, and signed ones have come before.
    #[error("the policy is not signed, and the one that is obeyed is")]
    Unsigned,
    /// It is older than the one that is obeyed.
    #[error("the policy has version {offered}, and version {obeyed} is obeyed")]
    Older {
        /// Of the new one.
        offered: u64,
        /// Of the one that goes on.
        obeyed: u64,
    },
}

impl Keeper {
    /// Version of the signed policy that is obeyed.
    pub(in crate::machine) fn policy_version(&self) -> Option<u64> {
        self.stored.policy_version
    }

    /// Puts the policy that is to be obeyed into a new credential, and into those that are held.
    pub(super) fn obey(
        &mut self,
        credential: &mut Credential,
        configured: &[PolicyKey],
    ) -> Result<(), Disobeyed> {
        let judged = self.judge(credential, configured);
        match &judged {
            Ok(policy) => credential.policy = policy.clone(),
            Err(_) => {
                // What was obeyed goes on; where that is nothing, the device has no word of who is trusted.
                let Some(policy) = self.policy() else { return judged.map(drop) };
                credential.policy = policy.clone();
            }
        }
        if credential.policy.threshold == Threshold::Off {
            credential.policy.enter_dbm = ANY_SIGNAL_DBM;
            credential.policy.leave_dbm = ANY_SIGNAL_DBM;
        }
        if self.stored.policy_version.is_some() {
            let held =
                self.stored.current.iter_mut().chain(&mut self.stored.next).chain(&mut self.stored.reserve);
            held.for_each(|held| held.policy.clone_from(&credential.policy));
        }
        judged.map(drop)
    }

    fn judge(&mut self, credential: &Credential, configured: &[PolicyKey]) -> Result<Policy, Disobeyed> {
        let trusted: Vec<PolicyKey> = configured.iter().chain(&self.stored.policy_keys).copied().collect();
        let Some(signed) = &credential.signed_policy else {
            return if trusted.is_empty() { Ok(credential.policy.clone()) } else { Err(Disobeyed::Unsigned) };
        };
        let claims = signed.open(&trusted)?;
        let offered = claims.policy.version;
        if let Some(obeyed) = self.stored.policy_version.filter(|obeyed| offered < *obeyed) {
            return Err(Disobeyed::Older { offered, obeyed });
        }
        self.stored.policy_version = Some(offered);
        self.stored.policy_keys = claims.keys;
        self.dirty = true;
        Ok(claims.policy)
    }
}
