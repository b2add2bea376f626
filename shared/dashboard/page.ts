/** The pages, as HTML. Whatever stands in a template is escaped: names, labels and events come from users. */
import { html } from 'hono/html'
import type { BindingInfo } from '../kubedb/records/binding-record.ts'
import type { Settings } from './settings.ts'
import { hint, snippetsFor } from './snippets.ts'
import { type Change, type Node, timeOf, type View } from './view.ts'

type Html = ReturnType<typeof html>

/** Who looks, as the page greets them. */
export interface Reader {
  name: string
}

interface Frame {
  title: string
  /** a way to sign out, where somebody has signed in */
  header: Html
  main: Html
  status?: string
}

function frame({ title, header, main, status = '' }: Frame): string {
  return String(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="stylesheet" href="/dashboard/style.css">
<script src="/dashboard/follow.js" defer></script>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>${header}</header>
${main}
<p class="told" role="status">${status}</p>
</body>
</html>
`)
}

/** @returns a page of one sentence */
export function plainPage(
  title: string,
  sentences: readonly string[],
  link?: { text: string; href: string },
): string {
  return frame({
    title,
    header: html`<span>KubeDB Service Broker</span>`,
    main: html`<main id="content" class="alone" tabindex="-1"><h1>${title}</h1>
${sentences.map((sentence) => html`<p>${sentence}</p>`)}
${link ? html`<p><a href="${link.href}">${link.text}</a></p>` : ''}</main>`,
  })
}

/** @returns the page of an instance */
export function instancePage(
  view: View,
  reader: Reader,
  { links, commands }: Pick<Settings, 'links' | 'commands'>,
): string {
  const { state } = view
  // One line for each part of the page, in the order in which they are read.
  const parts = [
    facts(view),
    connecting(view),
    health(view),
    bindings(view),
    changes(view),
    elsewhere(view, links, commands),
    events(view),
  ]
  return frame({
    title: `${view.name} · ${state.word}`,
    status: `${state.word}. ${sentence(state.sentence)}`,
    header: html`<span>KubeDB Service Broker</span>
<form method="post"><span>Signed in as ${reader.name}</span><button id="sign-out">Sign out</button></form>`,
    main: html`<main id="content" tabindex="-1"${view.moving ? html` data-moving` : ''}>
<div class="title"><h1>${view.name}</h1><span class="word ${state.tone}">${state.word}</span></div>
<p class="lead">${view.service}, plan ${view.plan}. ${sentence(state.sentence)}</p>
${view.upgrade === undefined ? '' : html`<p class="note">Version ${view.upgrade} is on offer; this instance has ${view.version}. It is upgraded when your platform is told to: with Cloud Foundry by <code>cf upgrade-service</code>.</p>`}
<div class="cards">${parts}</div>
<footer><p>As of ${time(new Date().toISOString().replace(/:\d\d\.\d+Z$/, ':00Z'))}, to the minute. <a id="again" href="">Look again</a></p></footer>
</main>`,
  })
}

function facts(view: View): Html {
  const { place } = view
  return html`<section aria-labelledby="facts"><h2 id="facts">Instance</h2><dl>
<dt>Service</dt><dd>${view.service} (${view.kind})</dd>
<dt>Plan</dt><dd>${view.plan}</dd>
<dt>Version</dt><dd>${view.version}</dd>
${view.storage.map(({ part, size }) => html`<dt>Storage${view.storage.length === 1 ? '' : html` of ${part}`}</dt><dd>${size}</dd>`)}
<dt>Made</dt><dd>${time(view.created)}</dd>
<dt>Organization</dt><dd>${place.organization}</dd>
<dt>Space</dt><dd>${place.space}</dd>
<dt>Instance id</dt><dd><code>${view.id}</code></dd>
<dt>Database</dt><dd><code>${place.namespace}/${place.database}</code></dd>
</dl></section>`
}

function connecting({ reach, kind }: View): Html {
  if ('pending' in reach)
    return html`<section aria-labelledby="connecting"><h2 id="connecting">Connecting</h2><p>${sentence(reach.pending)}</p></section>`
  const hosts = reach.hosts.length > 1 ? reach.hosts : [reach.host]
  return html`<section aria-labelledby="connecting"><h2 id="connecting">Connecting</h2><dl>
<dt>Address</dt><dd>${hosts.map((host, index) => html`${index > 0 ? html`<br>` : ''}<code>${host}:${reach.port}</code>`)}</dd>
${reach.database === '' ? '' : html`<dt>Database</dt><dd><code>${reach.database}</code></dd>`}
<dt>From</dt><dd>${reach.external ? 'outside the cluster too' : 'inside the cluster'}</dd>
</dl>
<p class="small">${hint}</p>
${snippetsFor(kind, reach).map(
  ({ language, code }) =>
    html`<details id="snippet-${slug(language)}"><summary>${language}</summary><pre tabindex="0" aria-label="${language}"><code>${code}</code></pre></details>`,
)}</section>`
}

function health({ conditions, nodes }: View): Html {
  return html`<section class="wide" aria-labelledby="health"><h2 id="health">Health</h2>
${nodesTable(nodes)}
${
  conditions.length === 0
    ? html`<p>KubeDB has not said anything about the database yet.</p>`
    : html`<h3 class="small" id="conditions">What KubeDB says, newest first</h3><ol class="line" aria-labelledby="conditions">${conditions.map(
        ({ type, status, message, lastTransitionTime }) =>
          html`<li class="${status === 'True' ? 'met' : 'unmet'}"><strong>${type}</strong>${status === 'True' ? '' : html` (${status === 'False' ? 'not so' : 'unknown'})`} ${time(lastTransitionTime)}${message === '' ? '' : html`<br>${message}`}</li>`,
      )}</ol>`
}</section>`
}

function nodesTable(nodes: Node[] | undefined): Html {
  if (nodes === undefined) return unread('The nodes')
  if (nodes.length === 0) return html`<p>No nodes run.</p>`
  return table(
    'Nodes',
    ['Node', 'Role', 'State', 'Restarts', 'Since'],
    nodes.map(
      (node) =>
        html`<tr><th scope="row">${node.name}</th><td>${node.role || '–'}</td><td>${node.phase}${node.phase === 'Running' && !node.ready ? ', not ready' : node.ready ? ', ready' : ''}</td><td>${node.restarts}</td><td>${time(node.since)}</td></tr>`,
    ),
  )
}

function bindings({ bindings: all }: View): Html {
  return html`<section class="wide" aria-labelledby="bindings"><h2 id="bindings">Bindings</h2>
${
  all === undefined
    ? unread('The bindings')
    : all.length === 0
      ? html`<p>No application is bound.</p>`
      : table(
          'Bindings',
          ['Binding', 'Application', 'Role', 'State', 'Made', 'Renew before', 'Expires'],
          all.map(bindingRow),
        )
}</section>`
}

function bindingRow({ bindingId, appGuid, role, state, created, renewBefore, expiresAt }: BindingInfo): Html {
  return html`<tr><th scope="row"><code>${bindingId}</code></th><td>${appGuid === '' ? '–' : html`<code>${appGuid}</code>`}</td><td>${role}</td><td>${state}</td><td>${time(created)}</td><td>${renewBefore === undefined ? '–' : time(renewBefore)}</td><td>${expiresAt === undefined ? 'never' : time(expiresAt)}</td></tr>`
}

function changes({ changes: all }: View): Html {
  return html`<section class="wide" aria-labelledby="changes"><h2 id="changes">Changes</h2>
${all === undefined ? unread('The changes') : table('Changes, newest first', ['Change', 'State', 'Begun', 'What it says'], all.map(changeRow))}</section>`
}

function changeRow({ what, state, running, at, detail, steps }: Change): Html {
  const progress =
    running && steps
      ? html` <progress max="${steps.all}" value="${steps.done}" aria-label="Steps of ${what}"></progress> ${steps.done} of ${steps.all} steps`
      : ''
  return html`<tr><th scope="row">${what}</th><td>${state}${progress}</td><td>${time(at)}</td><td class="text">${detail || '–'}</td></tr>`
}

function elsewhere(
  { place, id, planPage }: View,
  links: Settings['links'],
  commands: Settings['commands'],
): Html | string {
  const names = new Map([
    ['name', place.database],
    ['namespace', place.namespace],
    ['instance', id],
  ])
  const filled = (template: string, encode: (name: string) => string) =>
    template.replace(/\{([a-z]+)\}/g, (_, name: string) => encode(names.get(name) ?? ''))
  const all = [
    ...(planPage === undefined ? [] : [{ title: 'Page of this plan', url: planPage }]),
    ...links.map((link) => ({ title: link.title, url: filled(link.url, encodeURIComponent) })),
  ]
  if (all.length === 0 && commands.length === 0) return ''
  return html`<section class="wide" aria-labelledby="elsewhere"><h2 id="elsewhere">Elsewhere</h2>
${all.length === 0 ? '' : html`<ul>${all.map(({ title, url }) => html`<li><a href="${url}" rel="noreferrer noopener">${title}</a></li>`)}</ul>`}
${commands.map(({ title, command }) => html`<p>${title}</p><pre tabindex="0" aria-label="${title}"><code>${filled(command, quoted)}</code></pre>`)}</section>`
}

/** Names of Kubernetes need no quotes in a shell; an id of a platform may not begin an option either. */
const quoted = (name: string): string =>
  /^[A-Za-z0-9._~][A-Za-z0-9._~-]*$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`

function events({ events: all }: View): Html {
  return html`<section class="wide" aria-labelledby="events"><h2 id="events">Events</h2>
${
  all === undefined
    ? unread('The events')
    : all.length === 0
      ? html`<p>There are none; Kubernetes keeps them for an hour.</p>`
      : table(
          'Events, newest first',
          ['Event', 'Kind', 'Seen', 'What it says'],
          all.map(
            (event) =>
              html`<tr><th scope="row">${event.reason}</th><td>${event.type}</td><td>${time(timeOf(event))}</td><td class="text">${event.message}</td></tr>`,
          ),
        )
}</section>`
}

function table(name: string, columns: readonly string[], rows: readonly Html[]): Html {
  return html`<div class="scroll" role="region" aria-label="Table: ${name}" tabindex="0"><table>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`
}

const unread = (what: string): Html => html`<p>${what} cannot be read just now.</p>`

/** @returns a time as people and machines read it; what is none is shown as it is */
function time(iso: string): Html {
  const at = Date.parse(iso)
  if (Number.isNaN(at)) return html`${iso === '' ? '–' : iso}`
  const text = new Date(at).toISOString()
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 19)} UTC</time>`
}

const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`

const slug = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, '-')
