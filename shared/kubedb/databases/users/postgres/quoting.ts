/** Names and texts inside statements that take no parameters (roles, databases, grants). */
import { escapeIdentifier, escapeLiteral } from 'pg'

/** @returns the name in double quotes, whatever it holds */
export function identifier(name: string): string {
  return escapeIdentifier(name)
}

/** @returns the text as a string constant, whatever it holds */
export function literal(text: string): string {
  return escapeLiteral(text)
}
