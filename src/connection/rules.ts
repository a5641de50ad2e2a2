// Rules: protective rules of a connection that the simulator takes out one by one, to see that it notices. All on in production.

export type Rules = {
  readonly gateQos2: boolean
  readonly gatePubrel: boolean
  readonly gatePubcomp: boolean
  readonly gateUnsuback: boolean
  readonly cyclicIds: boolean
}

/** @param off names as in pair/DESIGN.md */
export function rulesWithout(off: ReadonlySet<string>): Rules {
  return {
    gateQos2: !off.has('gate2'),
    gatePubrel: !off.has('gatePubrel'),
    gatePubcomp: !off.has('gatePubcomp'),
    gateUnsuback: !off.has('gateUnsuback'),
    cyclicIds: !off.has('cyclicPid'),
  }
}
