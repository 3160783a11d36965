//! Where credentials may be used and what the access point is told: the `[access]` and `[session]` tables of the
//! configuration, ready for a login to read without allocating.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::aaa::{
    directory::{Asked, Reject},
    policy::SessionPolicy,
};

const DAY_SECS: u64 = 86_400;

/// Rules of this installation. The default restricts nothing and tells nothing.
#[derive(Debug, Default)]
pub struct Rules {
    /// Where issued credentials are good.
    pub access: Access,
    /// What access points are told.
    pub policies: Policies,
    /// Concurrent sessions of one subscriber; 0 for any number.
    pub max_sessions: u32,
}

/// Where a credential is good. An empty list restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Network names.
    pub ssids: Vec<String>,
    /// Names of RADIUS clients.
    pub nas: Vec<String>,
}

impl Access {
    pub(super) fn judge(&self, asked: &Asked<'_>) -> Result<(), Reject> {
        judge(&self.ssids, &self.nas, asked)
    }
}

/// A network name that the access point does not tell is not on the list.
pub(super) fn judge(ssids: &[String], nas: &[String], asked: &Asked<'_>) -> Result<(), Reject> {
    if !ssids.is_empty() && !asked.ssid.is_some_and(|ssid| ssids.iter().any(|fit| fit == ssid)) {
        return Err(Reject::WrongSsid);
    }
    if !nas.is_empty() && !nas.iter().any(|fit| fit == asked.client) {
        return Err(Reject::WrongNas);
    }
    Ok(())
}

/// Session policies: one for all access points, others by name.
#[derive(Debug, Default)]
pub struct Policies {
    everywhere: Policy,
    by_nas: HashMap<String, Policy>,
}

#[derive(Debug, Default)]
struct Policy {
    /// As of the last login.
    current: Mutex<Arc<SessionPolicy>>,
    /// Second of the day (UTC) at which sessions end.
    ends_at: Option<u32>,
}

impl Policies {
    /// Of the policy for all, and of those that hold at one access point instead; each with the second of the day
    /// (UTC) at which sessions end, if they do.
    pub fn new(
        everywhere: (SessionPolicy, Option<u32>),
        by_nas: impl IntoIterator<Item = (String, (SessionPolicy, Option<u32>))>,
    ) -> Self {
        let policy = |(policy, ends_at)| Policy { current: Mutex::new(Arc::new(policy)), ends_at };
        let by_nas = by_nas.into_iter().map(|(name, one)| (name, policy(one))).collect();
        Self { everywhere: policy(everywhere), by_nas }
    }

    /// What holds for a login at `client` now.
    pub fn get(&self, now: u64, client: &str) -> Arc<SessionPolicy> {
        self.by_nas.get(client).unwrap_or(&self.everywhere).get(now)
    }
}

impl Policy {
    fn get(&self, now: u64) -> Arc<SessionPolicy> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Made anew once a day.
        if let Some(ends_at) = self.ends_at.map(u64::from)
            && current.terminate_at.is_none_or(|at| at <= now || at > now.saturating_add(DAY_SECS))
        {
            let today = now - now % DAY_SECS + ends_at;
            let at = if today > now { today } else { today + DAY_SECS };
            *current = Arc::new(SessionPolicy { terminate_at: Some(at), ..(**current).clone() });
        }
        Arc::clone(&current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: u64 = 1_800_057_600;

    #[test]
    fn the_day_ends_at_its_second_and_then_the_next_does() {
        assert_eq!(MIDNIGHT % DAY_SECS, 0);
        let policies = Policies::new((SessionPolicy::default(), Some(4 * 3600)), []);
        let end = |now| policies.get(now, "ap").terminate_at.unwrap() - MIDNIGHT;
        assert_eq!(end(MIDNIGHT), 4 * 3600);
        assert_eq!(end(MIDNIGHT + 4 * 3600 - 1), 4 * 3600);
        assert_eq!(end(MIDNIGHT + 4 * 3600), 28 * 3600);
        assert_eq!(end(MIDNIGHT), 4 * 3600, "a clock set back");
        assert!(Arc::ptr_eq(&policies.get(MIDNIGHT, "ap"), &policies.get(MIDNIGHT + 9, "other")));
    }

    #[test]
    fn an_access_point_of_its_own_rule() {
        let vlan = |vlan| (SessionPolicy { vlan: Some(vlan), ..SessionPolicy::default() }, None);
        let policies = Policies::new(vlan(10), [("hall".to_owned(), vlan(20))]);
        assert_eq!(policies.get(0, "hall").vlan, Some(20));
        assert_eq!(policies.get(0, "other").vlan, Some(10));
    }

    #[test]
    fn lists_restrict_and_empty_ones_do_not() {
        let asked = |client, ssid| Asked { mac: None, client, ssid };
        let any = Access::default();
        assert_eq!(any.judge(&asked("x", None)), Ok(()));
        let some = Access { ssids: vec!["one".to_owned(), "two".to_owned()], nas: vec!["ap".to_owned()] };
        assert_eq!(some.judge(&asked("ap", Some("two"))), Ok(()));
        assert_eq!(some.judge(&asked("ap", Some("Two"))), Err(Reject::WrongSsid));
        assert_eq!(some.judge(&asked("ap", None)), Err(Reject::WrongSsid), "not told");
        assert_eq!(some.judge(&asked("other", Some("one"))), Err(Reject::WrongNas));
    }
}
