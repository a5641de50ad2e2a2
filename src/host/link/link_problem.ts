// LinkProblem: what a failed handshake means for the operator, in one sentence that says what to do. Decides nothing.
import type { HandshakeProblem, Hello } from './handshake.ts'

/**
 * @param name of this node
 * @param address the other node's, as given
 * @param version this node's link protocol
 */
export function linkProblem(
  problem: HandshakeProblem,
  peer: Hello | null,
  name: string,
  address: string,
  version: number,
): string {
  const other = peer === null ? address : `${peer.name} (${address})`
  switch (problem) {
    case 'secret':
      return `--cluster-secret-file: the peer ${other} has another secret; give both nodes the same file`
    case 'no-secret':
      return `--cluster-secret-file: only one of this node and the peer ${other} has a secret; give both nodes the same file`
    case 'version':
      return `--peer: ${other} speaks version ${peer?.version} of the link protocol, this node version ${version}; run the same release of tandemq on both`
    case 'same-name':
      return `--name: both nodes are called ${name}; give one of them another name`
    case 'self':
      return `--peer: ${address} is this node itself; give the address of the other node`
    default:
      return `--peer: what answers at ${address} is not a tandemq node's cluster port`
  }
}
