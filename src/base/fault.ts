// Fault: somebody else's error, sorted by who must act. Our own errors are bugs (assert.ts).
// A client's fault is a value with a reason code (wire/reason.ts), never thrown.

/** The peer broke the protocol or is not who it should be: the link is dropped and resynchronised. */
export class PeerFault extends Error {
  override name = 'PeerFault'
}

/** The operator must act: one sentence that names the flag or the file; the process ends with exit code 2. */
export class OperatorFault extends Error {
  override name = 'OperatorFault'
}
