// Api: a list of a node's HTTP API, page by page, as a program outside reads it.

export type ApiRow = Record<string, unknown>

/** @param path of the node's URL, a query included  @returns the rows of each page */
export async function pagesOf(node: { url(path: string): string }, path: string): Promise<ApiRow[][]> {
  const pages: ApiRow[][] = []
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer: Response = await fetch(node.url(next))
    if (!answer.ok) throw new Error(`${next}: ${answer.status} ${await answer.text()}`)
    pages.push((await answer.json()) as ApiRow[])
    next = /^<(.*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  return pages
}

export async function rowsOf(node: { url(path: string): string }, path: string): Promise<ApiRow[]> {
  return (await pagesOf(node, path)).flat()
}
