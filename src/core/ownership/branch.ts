// Branch: how far one copy of a session went, and whether another one went through all of it. Knows neither queue nor client.
import { type Ancestor, sameToken, type Token } from '../../base/identity.ts'

export type Branch = {
  readonly token: Token
  readonly ver: number
  readonly lineage: readonly Ancestor[]
}

/** Everything x went through, y went through too. */
export function contained(x: Branch, y: Branch): boolean {
  if (sameToken(x.token, y.token)) return x.ver <= y.ver
  return y.lineage.some((a) => sameToken(a.token, x.token) && x.ver <= a.forkVer)
}
