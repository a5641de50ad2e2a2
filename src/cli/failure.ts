// Failure: a command that could not do what it was asked for, with the exit code that says so. Not for wrong flags
// (OperatorFault) and not for our own bugs.

export class Failure extends Error {
  override name = 'Failure'
  readonly exitCode: number

  /** @param message empty: nothing to say */
  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}
