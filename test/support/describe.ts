// Describe: a packet or a frame in a few words, for those who read a scenario.

import type { ServerPacket } from '../../src/wire/client_decoder.ts'
import { type Frame, FrameKind, type Op, OpKind } from '../../src/wire/peer_message.ts'
import { text } from './mqtt_client.ts'

export function describePacket(packet: ServerPacket): string {
  switch (packet.cmd) {
    case 'connack':
      return packet.reason === 0 ? `CONNACK session=${packet.sessionPresent ? 1 : 0}` : `CONNACK ${hex(packet.reason)}`
    case 'publish': {
      const { topic, payload, qos, packetId, dup, retain } = packet
      const marks = [qos > 0 ? ` qos=${qos} id=${packetId}` : '', dup ? ' dup' : '', retain ? ' retain' : '']
      return `PUBLISH ${topic} "${text(payload)}"${marks.join('')}`
    }
    case 'suback':
    case 'unsuback':
      return packet.cmd.toUpperCase()
    case 'disconnect':
      return `DISCONNECT ${hex(packet.reason)}`
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return `${packet.cmd.toUpperCase()} id=${packet.packetId}`
    default:
      return packet.cmd.toUpperCase()
  }
}

const hex = (reason: number) => `0x${reason.toString(16).padStart(2, '0')}`

/** What a reader of a scenario wants to know: none of what only keeps time, counts or marks. */
export function describeFrame(frame: Frame): string[] {
  switch (frame[0]) {
    case FrameKind.ops:
      return frame[3].flat().flatMap(describeOp)
    case FrameKind.hello:
      return [`HELLO generation=${frame[7][0]} ${frame[9]} ${frame[10]}`]
    case FrameKind.offer:
      return [`OFFER generation=${frame[1][0]}`]
    case FrameKind.merge:
      return ['MERGE', ...frame[1].flatMap(describeOp)]
    case FrameKind.ack:
    case FrameKind.heartbeat:
      return []
    default:
      return [nameOf(FrameKind, frame[0])]
  }
}

function describeOp(op: Op): string[] {
  switch (op[0]) {
    case OpKind.pub:
      return [`PUB "${text(op[4])}"${op[9] === null ? '' : ` for ${op[9].map((target) => target[0]).join(', ')}`}`]
    case OpKind.enq:
      return [`ENQ ${op[1]} ×${op[3].length}`]
    case OpKind.shadows:
      return [`SHADOWS ${op[1]} ×${op[2].length}`]
    case OpKind.claim:
      return [`CLAIM ${op[1]}`]
    case OpKind.grant:
      return [op[4] === null ? `GRANT ${op[1]} none` : `GRANT ${op[1]} epoch=${op[4][0]} session=${op[5]}`]
    case OpKind.snapHead:
      return [`SNAP_HEAD ${op[1]} epoch=${op[2][0]} queue=${op[12].length}`]
    case OpKind.sub:
      return [`SUB ${op[1]} ${op[3]}`]
    case OpKind.end:
    case OpKind.deny:
      return [`${nameOf(OpKind, op[0])} ${op[1]}`]
    case OpKind.inboundDel:
      return [`INB_DEL ${op[1]} id=${op[3].join(',')}`]
    default:
      return []
  }
}

function nameOf(kinds: Readonly<Record<string, number>>, kind: number): string {
  const [name = '?'] = Object.entries(kinds).find(([, number]) => number === kind) ?? []
  return name.toUpperCase()
}
