//! Commands about the SIM (3GPP TS 27.007 §8, TS 31.102 for its files). Part of `modem`.

use super::modem::{Answer, Modem, Refusal, Sim};

/// Elementary files that ModemManager reads: serial number, administrative data, provider name.
const EF_ICCID: &str = "12258";
const EF_AD: &str = "28589";
const EF_SPN: &str = "28486";
/// Of every simulated SIM.
const PIN: &str = "1234";

impl Modem {
    /// Answers a command about the SIM; none where it is another.
    pub(super) fn sim_command(&mut self, upper: &str) -> Option<Answer> {
        let name = upper.split(['=', '?']).next().unwrap_or_default();
        if !matches!(name, "+CPIN" | "+CPINR" | "+CSIM" | "+CRSM" | "+CIMI" | "+CNUM" | "+CLCK" | "+CCID") {
            return None;
        }
        if upper == "+CLCK=?" {
            return Some(Ok(vec!["+CLCK: (\"SC\",\"PS\")".to_owned()]));
        }
        if self.sim == Sim::Absent {
            return Some(Err(Refusal::SimNotInserted));
        }
        // Serial number and retries are readable while the SIM is locked, as on real cards.
        let always = matches!(name, "+CPIN" | "+CPINR" | "+CSIM" | "+CCID")
            || upper.ends_with(EF_ICCID)
            || upper.contains(&format!(",{EF_ICCID},"));
        if !always {
            match self.sim {
                Sim::Pin => return Some(Err(Refusal::SimPinRequired)),
                Sim::Puk => return Some(Err(Refusal::SimPukRequired)),
                Sim::Ready | Sim::Absent => {}
            }
        }
        Some(self.sim_answer(name, upper))
    }

    fn sim_answer(&mut self, name: &str, upper: &str) -> Answer {
        let identity = &self.identity;
        match name {
            "+CPIN" if upper == "+CPIN?" => {
                let state = match self.sim {
                    Sim::Ready | Sim::Absent => "READY",
                    Sim::Pin => "SIM PIN",
                    Sim::Puk => "SIM PUK",
                };
                Ok(vec![format!("+CPIN: {state}")])
            }
            "+CPIN" => self.enter_pin(upper),
            "+CPINR" => Ok(vec![format!("+CPINR: SIM PIN,{},3", self.pin_tries)]),
            "+CSIM" => self.retries(upper),
            "+CIMI" => Ok(vec![identity.imsi.clone()]),
            "+CCID" => Ok(vec![format!("+CCID: {}", identity.iccid)]),
            "+CNUM" => Ok(vec![format!("+CNUM: \"\",\"{}\",145", identity.msisdn)]),
            "+CLCK" => Ok(vec![format!("+CLCK: {}", u8::from(self.sim != Sim::Ready))]),
            "+CRSM" => Ok(vec![self.read_file(upper)]),
            _ => Err(Refusal::NotSupported),
        }
    }

    fn enter_pin(&mut self, upper: &str) -> Answer {
        let pin = upper.strip_prefix("+CPIN=").unwrap_or_default().trim_matches('"');
        match self.sim {
            Sim::Pin if pin == PIN => {
                self.sim = Sim::Ready;
                self.pin_tries = 3;
                self.report_registration();
                Ok(Vec::new())
            }
            Sim::Pin => {
                self.pin_tries = self.pin_tries.saturating_sub(1);
                if self.pin_tries == 0 {
                    self.sim = Sim::Puk;
                    return Err(Refusal::SimPukRequired);
                }
                Err(Refusal::IncorrectPassword)
            }
            Sim::Ready | Sim::Puk | Sim::Absent => Err(Refusal::IncorrectPassword),
        }
    }

    /// VERIFY and UNBLOCK without data: the card answers how many tries are left (ETSI TS 102 221 §11.1.9).
    fn retries(&self, upper: &str) -> Answer {
        let left = match upper {
            "+CSIM=10,\"0020000100\"" => self.pin_tries,
            "+CSIM=10,\"0020008100\"" => 3,
            "+CSIM=10,\"002C000100\"" | "+CSIM=10,\"002C008100\"" => 10,
            _ => return Err(Refusal::NotSupported),
        };
        Ok(vec![format!("+CSIM: 4,\"63C{left:X}\"")])
    }

    /// READ BINARY of a transparent file.
    fn read_file(&self, upper: &str) -> String {
        let identity = &self.identity;
        let mut words = upper.trim_start_matches("+CRSM=").split(',');
        let data = match (words.next(), words.next()) {
            (Some("176"), Some(EF_ICCID)) => swapped(&identity.iccid, 20),
            // Last octet: length of the MNC.
            (Some("176"), Some(EF_AD)) => "00000002".to_owned(),
            (Some("176"), Some(EF_SPN)) => {
                let name: String = identity.operator.bytes().map(|octet| format!("{octet:02X}")).collect();
                format!("00{name:F<32}")
            }
            // SW 6A82: file not found.
            _ => return "+CRSM: 106,130".to_owned(),
        };
        format!("+CRSM: 144,0,\"{data}\"")
    }
}

/// Digits two by two in reverse, as SIM files hold them, filled with F.
fn swapped(digits: &str, length: usize) -> String {
    let filled = format!("{digits:F<length$}");
    filled.as_bytes().chunks(2).flat_map(|pair| pair.iter().rev()).map(|&octet| char::from(octet)).collect()
}
