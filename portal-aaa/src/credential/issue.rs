//! Issuing: from proved identifiers to a credential whose record is in the database before anyone learns of it.
//!
//! Called by the portal (patent FIG. 2, steps 58–60; feature-spec C4p, C9p) and by `portal-aaa credential issue`.

use std::{net::IpAddr, sync::Arc};

use provisioning::{
    identity::{Imei, Imsi, Mac},
    message::{Credential, EapSettings, MacMode},
};

use super::{
    Authority, Lifetime, MacBinding, Purpose, SealError,
    token::{BadToken, Token},
};
use crate::{
    policy::{Effective, document::CredentialPart},
    store::{CredentialRecord, Entitlement, Handle, StoreError, rotation::Progress},
};

/// Fills a buffer with random octets. Programs pass [`system_random`].
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Result<(), RandomUnavailable> + 'a;

/// The operating system gave no random octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random octets")]
pub struct RandomUnavailable;

/// The operating system's random octets.
pub fn system_random(buffer: &mut [u8]) -> Result<(), RandomUnavailable> {
    getrandom::fill(buffer).map_err(|_| RandomUnavailable)
}

/// Nonces tried before giving up; one in 65 536 meets a username of the same card in the same second.
const ATTEMPTS: usize = 8;

/// Who gets a credential. The identifiers have been proved by the caller.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// From the SIM.
    pub imsi: Option<Imsi>,
    /// From the equipment. At least one of the two is there.
    pub imei: Option<Imei>,
    /// Whose SIM it is in, where that is known though no IMSI is given: the credential is that subscriber's, so that
    /// nobody escapes a suspension by leaving the IMSI out.
    pub subscriber: Option<Handle>,
    /// Permanent address of the WLAN card.
    pub mac: Mac,
    /// How long; none for what the configuration says.
    pub lifetime: Option<Lifetime>,
    /// Address that the request came from.
    pub source: Option<IpAddr>,
    /// Version of the signed policy that the device says it obeys.
    pub runs_policy: Option<u64>,
}

/// Why there is no credential.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssueError {
    /// Neither IMSI nor IMEI.
    #[error("a credential needs an IMSI or an IMEI")]
    NoIdentifier,
    /// The clock stands outside of what a token can say (1970 to 2106).
    #[error("the clock is wrong: {now} seconds since 1970")]
    Clock {
        /// What it says.
        now: u64,
    },
    /// No nonce.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// The keys do not seal.
    #[error("the keys of this installation do not seal a credential")]
    Keys,
    /// No record, so no credential.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SealError> for IssueError {
    fn from(_: SealError) -> Self {
        Self::Keys
    }
}

impl From<BadToken> for IssueError {
    fn from(_: BadToken) -> Self {
        Self::Keys
    }
}

impl Authority {
    /// Makes a new credential by hand: it takes no part in the rotation of its card's. When it returns `Ok` the record is
    /// on disk (C9p). `now` is seconds since 1970.
    pub fn issue(
        &self,
        now: u64,
        request: &IssueRequest,
        random: &mut Random<'_>,
    ) -> Result<Credential, IssueError> {
        self.issue_one(now, request, random, Entitlement::Any, true)
    }

    /// The same for a device that asked, to these subscribers only: what its card had before is superseded.
    pub fn issue_entitled(
        &self,
        now: u64,
        request: &IssueRequest,
        random: &mut Random<'_>,
        entitlement: Entitlement,
    ) -> Result<Credential, IssueError> {
        self.issue_one(now, request, random, entitlement, false)
    }

    fn issue_one(
        &self,
        now: u64,
        request: &IssueRequest,
        random: &mut Random<'_>,
        entitlement: Entitlement,
        by_hand: bool,
    ) -> Result<Credential, IssueError> {
        let mut attempts = 0;
        self.shelf.refresh(&*self.store);
        loop {
            attempts += 1;
            let (credential, mut record) = self.prepare(now, request, random)?;
            if by_hand {
                record.progress.serial = 0;
            }
            tracing::info!(event = "credential-generated", username = credential.username);
            match self.store.insert_entitled(&record, entitlement) {
                Ok(()) => {
                    tracing::info!(event = "credential-stored", username = credential.username, mac = %request.mac);
                    return Ok(credential);
                }
                Err(StoreError::Exists { .. }) if attempts < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As [`Self::issue_entitled`] for each, in the order of the requests, in one transaction. What is `Ok` is on disk.
    pub fn issue_each_entitled(
        &self,
        now: u64,
        requests: &[IssueRequest],
        random: &mut Random<'_>,
        entitlement: Entitlement,
    ) -> Vec<Result<Credential, IssueError>> {
        let [_, _, ..] = requests else {
            return requests
                .iter()
                .map(|request| self.issue_entitled(now, request, random, entitlement))
                .collect();
        };
        self.shelf.refresh(&*self.store);
        let mut records = Vec::with_capacity(requests.len());
        let mut prepared = Vec::with_capacity(requests.len());
        for request in requests {
            prepared.push(self.prepare(now, request, random).map(|(credential, record)| {
                tracing::info!(event = "credential-generated", username = credential.username);
                records.push(record);
                credential
            }));
        }
        let mut written = self.store.insert_each(&records, entitlement).map(Vec::into_iter);
        let outcome = |(credential, request): (Result<Credential, IssueError>, &IssueRequest)| {
            let credential = credential?;
            let stored = match &mut written {
                Ok(each) => each.next().unwrap_or(Err(StoreError::Corrupt { what: "answer" })),
                Err(error) => Err(error.clone()),
            };
            match stored {
                Ok(()) => {
                    tracing::info!(event = "credential-stored", username = credential.username, mac = %request.mac);
                    Ok(credential)
                }
                // Hardly ever: a username that is there already.
                Err(StoreError::Exists { .. }) => self.issue_entitled(now, request, random, entitlement),
                Err(error) => Err(error.into()),
            }
        };
        prepared.into_iter().zip(requests).map(outcome).collect()
    }

    /// Makes many by hand, in the order of the requests, in one transaction; all of them are on disk when it returns `Ok`.
    pub fn issue_many(
        &self,
        now: u64,
        requests: &[IssueRequest],
        random: &mut Random<'_>,
    ) -> Result<Vec<Credential>, IssueError> {
        self.shelf.refresh(&*self.store);
        let mut credentials = Vec::with_capacity(requests.len());
        let mut records = Vec::with_capacity(requests.len());
        for request in requests {
            let (credential, mut record) = self.prepare(now, request, random)?;
            record.progress.serial = 0;
            credentials.push(credential);
            records.push(record);
        }
        // Hardly ever one: a username that is there already.
        for there in self.store.insert_credentials(&records)? {
            if let (Some(credential), Some(request)) = (credentials.get_mut(there), requests.get(there)) {
                *credential = self.issue(now, request, random)?;
            }
        }
        tracing::info!(event = "credentials-stored", count = credentials.len());
        Ok(credentials)
    }

    fn prepare(
        &self,
        now: u64,
        request: &IssueRequest,
        random: &mut Random<'_>,
    ) -> Result<(Credential, CredentialRecord), IssueError> {
        let subscriber = self.subscriber(request)?;
        let effective = self.effective(subscriber, request.mac)?;
        let CredentialPart { lifetime, mac: binding, .. } = effective.credential;
        let lifetime = request.lifetime.unwrap_or(lifetime);
        let [s0, s1, s2, s3, s4, s5, ..] = subscriber.0;
        let token = Token {
            subscriber: [s0, s1, s2, s3, s4, s5],
            mac: match binding {
                MacBinding::Permanent => Some(request.mac),
                MacBinding::Issued => Some(local_address(random)?),
                MacBinding::Unbound => None,
            },
            issued_at: u32::try_from(now).map_err(|_| IssueError::Clock { now })?,
            lifetime_secs: Token::lifetime_secs(lifetime),
            one_time: lifetime == Lifetime::OneTime,
        };
        let mut nonce = [0; 8];
        random(&mut nonce)?;
        let credential = self.credential(&token, nonce, &effective)?;
        let record = self.record(&token, &credential, subscriber, request)?;
        Ok((credential, record))
    }

    /// The SIM says who it is, or whoever proved it; a device without one is its equipment.
    fn subscriber(&self, request: &IssueRequest) -> Result<Handle, IssueError> {
        let imsi = request.imsi.as_ref().map(|imsi| self.keys.handle_imsi(imsi));
        let imei = request.imei.as_ref().map(|imei| self.keys.handle_imei(imei));
        imsi.or(request.subscriber).or(imei).ok_or(IssueError::NoIdentifier)
    }

    /// What this device gets.
    fn effective(&self, subscriber: Handle, mac: Mac) -> Result<Arc<Effective>, StoreError> {
        // The database is asked only where the answer matters.
        let group = if self.shelf.has_groups() {
            self.store.subscriber(subscriber)?.map(|record| record.group)
        } else {
            None
        };
        Ok(self.shelf.effective(group.as_deref(), Some(mac)))
    }

    fn credential(
        &self,
        token: &Token,
        nonce: [u8; 8],
        effective: &Effective,
    ) -> Result<Credential, IssueError> {
        let CredentialPart { outer, inner, mac, .. } = effective.credential;
        let (username, password) = token.seal(&self.keys, &self.terms.realm, nonce)?;
        Ok(Credential {
            username,
            password,
            eap: EapSettings { outer, inner, ..self.terms.eap.clone() },
            mac_mode: match (mac, token.mac) {
                (MacBinding::Permanent, _) => MacMode::Permanent,
                (MacBinding::Issued, Some(address)) => MacMode::Issued(address),
                (MacBinding::Issued | MacBinding::Unbound, _) => MacMode::Unbound,
            },
            issued_at: u64::from(token.issued_at),
            expires_at: token.expires_at(),
            one_time: token.one_time,
            policy: effective.policy.clone(),
            signed_policy: effective.signed.clone(),
        })
    }

    fn record(
        &self,
        token: &Token,
        credential: &Credential,
        subscriber: Handle,
        request: &IssueRequest,
    ) -> Result<CredentialRecord, IssueError> {
        let owner = credential.username.as_str();
        let seal = |purpose, clear: &str| self.keys.seal(purpose, owner, clear.as_bytes());
        Ok(CredentialRecord {
            username: owner.to_owned(),
            password: seal(Purpose::Password, credential.password.expose())?,
            subscriber,
            imsi: request.imsi.as_ref().map(|imsi| seal(Purpose::Imsi, imsi.expose())).transpose()?,
            imei: request.imei.as_ref().map(|imei| seal(Purpose::Imei, imei.expose())).transpose()?,
            mac: token.mac,
            source: request.source,
            issued_at: credential.issued_at,
            expires_at: credential.expires_at,
            one_time: credential.one_time,
            revoked_at: None,
            policy_version: credential.policy.version,
            device: Some(request.mac),
            progress: Progress { serial: 1, runs_policy: request.runs_policy, ..Progress::default() },
        })
    }
}

/// A locally administered address of one station (IEEE 802 §8.4: bit 0x02 of the first octet set, bit 0x01 not): 46
/// random bits, so that none meets another in a network's life.
fn local_address(random: &mut Random<'_>) -> Result<Mac, RandomUnavailable> {
    let mut octets = [0; 6];
    random(&mut octets)?;
    octets[0] = octets[0] & 0xfc | 0x02;
    Ok(Mac(octets))
}
