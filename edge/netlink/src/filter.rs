//! Which notifications the kernel queues for us at all, as a classic BPF program.
//!
//! A routing daemon beside us may change a million routes, and a bridge learns and forgets without
//! end; what is not put into the queue cannot overrun it.

use netlink_packet_core::NLM_F_REPLACE;
use tapway_sys::netlink::FilterInstruction;

use crate::constants::{AF_BRIDGE, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE};

// linux/bpf_common.h
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

// Places in a message: `nlmsg_type`, `nlmsg_flags`, the family, `rtm_dst_len`, `rtm_protocol`.
const TYPE: u32 = 4;
const FLAGS: u32 = 6;
const FAMILY: u32 = 16;
const DST_LEN: u32 = 17;
const PROTOCOL: u32 = 21;

/// Keeps routes of `protocol`, default routes and routes that replaced another; neighbours but a
/// bridge's; and everything else.
pub(crate) fn program(protocol: u8) -> [FilterInstruction; 15] {
    [
        load(LOAD_HALF, TYPE),
        jump(JUMP_EQUAL, half(RTM_NEWROUTE), 5, 0),
        jump(JUMP_EQUAL, half(RTM_DELROUTE), 4, 0),
        jump(JUMP_EQUAL, half(RTM_NEWNEIGH), 1, 0),
        jump(JUMP_EQUAL, half(RTM_DELNEIGH), 0, 8),
        // A neighbour.
        load(LOAD_BYTE, FAMILY),
        jump(JUMP_EQUAL, u32::from(AF_BRIDGE), 7, 6),
        // A route.
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
