//! The nl80211 attributes that this program reads or writes, with the kernel's own numbers
//! (`include/uapi/linux/nl80211.h` by way of linux-raw-sys; neli names only seven of them).

use linux_raw_sys::netlink::{nl80211_attr_cqm, nl80211_attrs, nl80211_bss, nl80211_sta_info};
use neli::{consts::genl::NlAttrType, neli_enum};

/// Top level (`enum nl80211_attrs`).
#[neli_enum(serialized_type = "u16")]
pub(crate) enum Attr {
    Ifindex = nl80211_attrs::NL80211_ATTR_IFINDEX as u16,
    Ifname = nl80211_attrs::NL80211_ATTR_IFNAME as u16,
    Iftype = nl80211_attrs::NL80211_ATTR_IFTYPE as u16,
    Mac = nl80211_attrs::NL80211_ATTR_MAC as u16,
    StaInfo = nl80211_attrs::NL80211_ATTR_STA_INFO as u16,
    ScanFrequencies = nl80211_attrs::NL80211_ATTR_SCAN_FREQUENCIES as u16,
    ScanSsids = nl80211_attrs::NL80211_ATTR_SCAN_SSIDS as u16,
    Bss = nl80211_attrs::NL80211_ATTR_BSS as u16,
    Frame = nl80211_attrs::NL80211_ATTR_FRAME as u16,
    ReasonCode = nl80211_attrs::NL80211_ATTR_REASON_CODE as u16,
    StatusCode = nl80211_attrs::NL80211_ATTR_STATUS_CODE as u16,
    Cqm = nl80211_attrs::NL80211_ATTR_CQM as u16,
}

/// Inside `NL80211_ATTR_BSS` (`enum nl80211_bss`).
#[neli_enum(serialized_type = "u16")]
pub(crate) enum BssAttr {
    Bssid = nl80211_bss::NL80211_BSS_BSSID as u16,
    Frequency = nl80211_bss::NL80211_BSS_FREQUENCY as u16,
    Elements = nl80211_bss::NL80211_BSS_INFORMATION_ELEMENTS as u16,
    SignalMbm = nl80211_bss::NL80211_BSS_SIGNAL_MBM as u16,
    SeenMsAgo = nl80211_bss::NL80211_BSS_SEEN_MS_AGO as u16,
    BeaconElements = nl80211_bss::NL80211_BSS_BEACON_IES as u16,
}

/// Inside `NL80211_ATTR_STA_INFO` (`enum nl80211_sta_info`).
#[neli_enum(serialized_type = "u16")]
pub(crate) enum StationAttr {
    Signal = nl80211_sta_info::NL80211_STA_INFO_SIGNAL as u16,
    SignalAvg = nl80211_sta_info::NL80211_STA_INFO_SIGNAL_AVG as u16,
    BeaconSignalAvg = nl80211_sta_info::NL80211_STA_INFO_BEACON_SIGNAL_AVG as u16,
}

/// Inside `NL80211_ATTR_CQM` (`enum nl80211_attr_cqm`).
#[neli_enum(serialized_type = "u16")]
pub(crate) enum CqmAttr {
    RssiThold = nl80211_attr_cqm::NL80211_ATTR_CQM_RSSI_THOLD as u16,
    RssiHyst = nl80211_attr_cqm::NL80211_ATTR_CQM_RSSI_HYST as u16,
    RssiThresholdEvent = nl80211_attr_cqm::NL80211_ATTR_CQM_RSSI_THRESHOLD_EVENT as u16,
    BeaconLossEvent = nl80211_attr_cqm::NL80211_ATTR_CQM_BEACON_LOSS_EVENT as u16,
    RssiLevel = nl80211_attr_cqm::NL80211_ATTR_CQM_RSSI_LEVEL as u16,
}

impl NlAttrType for Attr {}
impl NlAttrType for BssAttr {}
impl NlAttrType for StationAttr {}
impl NlAttrType for CqmAttr {}
