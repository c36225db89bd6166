//! Which notifications the kernel queues for us at all, as a classic BPF program.
//!
//! A routing daemon beside us may change a million routes, and a bridge learns and forgets without
//! end; what is not put into the queue cannot overrun it.

use netlink_packet_core::NLM_F_REPLACE;
use tapway_sys::netlink::FilterInstruction;

use crate::constants::{
    AF_BRIDGE, AF_INET, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE,
};

// linux/bpf_common.h
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

// Places in a message: `nlmsg_type`, `nlmsg_flags`, `nlmsg_pid`, the family, `rtm_dst_len`, `rtm_protocol`.
const TYPE: u32 = 4;
const FLAGS: u32 = 6;
const PORT: u32 = 12;
const FAMILY: u32 = 16;
const DST_LEN: u32 = 17;
const PROTOCOL: u32 = 21;

/// Keeps routes of `protocol`, default routes and routes that replaced another; neighbours but a
/// bridge's; and everything else. Of IPv4 routes that `silent` wrote itself it keeps none: a socket's number, `nlmsg_pid`.
pub(crate) fn program(protocol: u8, silent: Option<u32>) -> [FilterInstruction; 19] {
    let (own, others) = match silent {
        Some(_) => (0, 2),
        None => (2, 2),
    };
    [
        load(LOAD_HALF, TYPE),
        jump(JUMP_EQUAL, half(RTM_NEWROUTE), 5, 0),
        jump(JUMP_EQUAL, half(RTM_DELROUTE), 4, 0),
        jump(JUMP_EQUAL, half(RTM_NEWNEIGH), 1, 0),
        jump(JUMP_EQUAL, half(RTM_DELNEIGH), 0, 12),
        // A neighbour.
        load(LOAD_BYTE, FAMILY),
        jump(JUMP_EQUAL, u32::from(AF_BRIDGE), 11, 10),
        // A route.
        load(LOAD_WORD, PORT),
        jump(JUMP_EQUAL, word(silent.unwrap_or(0)), own, others),
        load(LOAD_BYTE, FAMILY),
        jump(JUMP_EQUAL, u32::from(AF_INET), 7, 0),
        load(LOAD_BYTE, PROTOCOL),
        jump(JUMP_EQUAL, u32::from(protocol), 4, 0),
        load(LOAD_BYTE, DST_LEN),
        jump(JUMP_EQUAL, 0, 2, 0),
        load(LOAD_HALF, FLAGS),
        jump(JUMP_SET, half(NLM_F_REPLACE), 0, 1),
        // Keep, drop.
        end(u32::MAX),
        end(0),
    ]
}

/// Of the groups of routes and nexthop objects: all but routes of `protocol` and default routes.
pub(crate) fn of_others(protocol: u8) -> [FilterInstruction; 9] {
    [
        load(LOAD_HALF, TYPE),
        jump(JUMP_EQUAL, half(RTM_NEWROUTE), 1, 0),
        jump(JUMP_EQUAL, half(RTM_DELROUTE), 0, 4),
        // A route.
        load(LOAD_BYTE, PROTOCOL),
        jump(JUMP_EQUAL, u32::from(protocol), 3, 0),
        load(LOAD_BYTE, DST_LEN),
        jump(JUMP_EQUAL, 0, 1, 0),
        // Keep, drop.
        end(u32::MAX),
        end(0),
    ]
}

const fn load(code: u16, at: u32) -> FilterInstruction {
    FilterInstruction {
        code,
        jt: 0,
        jf: 0,
        k: at,
    }
}

const fn jump(code: u16, value: u32, yes: u8, no: u8) -> FilterInstruction {
    FilterInstruction {
        code,
        jt: yes,
        jf: no,
        k: value,
    }
}

const fn end(bytes: u32) -> FilterInstruction {
    FilterInstruction {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: bytes,
    }
}

/// The program reads two bytes in network order; the kernel wrote them in the host's.
fn half(value: u16) -> u32 {
    u16::from_be_bytes(value.to_ne_bytes()).into()
}

/// The same for four bytes.
fn word(value: u32) -> u32 {
    u32::from_be_bytes(value.to_ne_bytes())
}
