/**
 * @param ifNoneMatch the header, if it was sent: `*` or a list of entity tags, some of them weak
 * @param etag what the answer would have, quotes included
 * @returns whether the client has this answer already (RFC 9110, section 13.1.2: weak comparison)
 */
export function unchanged(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.trim() === '*' || ifNoneMatch.match(/"[^"]*"/g)?.some((tag) => tag === etag) === true
}
