import { Badge } from '@/components/ui/badge'
import { Button } from '@/components/ui/button'
import { Input } from '@/components/ui/input'
import { Trash2, X } from 'lucide-react'
import { useEffect, useState } from 'react'

// The papers of the library. Python answers every action with the papers as they are then; nothing here is trusted there.
export default function Library() {
  const [papers, setPapers] = useState(props.papers || [])
  const [filter, setFilter] = useState('')
  const [asking, setAsking] = useState(null)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState('')
  const [said, setSaid] = useState('')
  const [chosen, setChosen] = useState([])
  const [tag, setTag] = useState('')

  async function act(name, payload) {
    setBusy(true)
    setError('')
    setSaid('')
    try {
      const reply = await callAction({ name, payload: payload || {} })
      const answer = reply?.response
      if (answer?.papers) setPapers(answer.papers)
      if (answer?.error) setError(answer.error)
      if (answer?.said) setSaid(answer.said)
      return Boolean(answer) && !answer.error
    } catch {
      setError('Scholion is not responding. Reload the page and try again.')
    } finally {
      setBusy(false)
      setAsking(null)
    }
  }

  // A stored chat shows the list as it was then: ask for today's.
  useEffect(() => { act('list_papers') }, [])

  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  const shown = papers.filter((paper) => {
    const text = `${paper.title} ${paper.authors} ${paper.year ?? ''} ${(paper.tags || []).join(' ')}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })

  const there = chosen.filter((id) => papers.some((paper) => paper.id === id))
  const tags = [...new Set(papers.flatMap((paper) => paper.tags || []))].sort()
  const toggle = (id) => setChosen(there.includes(id) ? there.filter((one) => one !== id) : [...there, id])

  async function addTag(event) {
    event.preventDefault()
    if (tag.trim() && there.length && await act('tag_papers', { ids: there, tag })) setTag('')
  }

  return (
    <div id="library" className="w-full rounded-lg border bg-card p-4 text-sm">
      <div className="mb-3 flex items-center gap-3">
        <span className="font-semibold">Library</span>
        <Badge variant="secondary" className="shrink-0">{papers.length === 1 ? '1 paper' : `${papers.length} papers`}</Badge>
        <Input id="library-filter" className="ml-auto h-8" style={{ maxWidth: '16rem' }} placeholder="Filter by title, author, year, tag"
          aria-label="Filter papers" value={filter} onChange={(event) => setFilter(event.target.value)} />
      </div>
      {error ? <p role="alert" className="mb-2 text-destructive">{error}</p> : null}
      {said ? <p role="status" className="mb-2">{said}</p> : null}
      <form id="library-chosen" className="mb-3 flex flex-wrap items-center gap-2" onSubmit={addTag}>
        <span className="text-xs text-muted-foreground">
          {there.length ? `${there.length} chosen` : 'Choose papers to ask only these, or to tag them.'}
        </span>
        {there.length ? (
          <>
            <Button type="button" size="sm" className="h-8" disabled={busy}
              onClick={() => act('choose_papers', { ids: there })}>Ask only these</Button>
            <Input id="library-tag" className="ml-auto h-8" style={{ maxWidth: '10rem' }} placeholder="Tag, e.g. thesis"
              aria-label="Tag" list="library-tags" maxLength={60} value={tag} onChange={(event) => setTag(event.target.value)} />
            <datalist id="library-tags">{tags.map((name) => <option key={name} value={name} />)}</datalist>
            <Button type="submit" size="sm" variant="outline" className="h-8" disabled={busy || !tag.trim()}>Add tag</Button>
            <Button type="button" size="sm" variant="ghost" className="h-8" disabled={busy} onClick={() => setChosen([])}>Clear</Button>
          </>
        ) : null}
      </form>
      <ul className="overflow-y-auto" style={{ maxHeight: '24rem' }}>
        {shown.map((paper) => (
          <li key={paper.id} data-paper={paper.id} className="flex items-center gap-3 border-t py-2">
            <input type="checkbox" className="shrink-0" aria-label={`Choose ${paper.title}`}
              checked={there.includes(paper.id)} onChange={() => toggle(paper.id)} />
            <div className="min-w-0 flex-grow">
              <button type="button" className="block max-w-full truncate text-left font-medium hover:underline"
                title={paper.title} onClick={() => act('open_paper', { id: paper.id })}>{paper.title}</button>
              <div className="truncate text-xs text-muted-foreground">
                {[paper.authors, paper.year, paper.pages === 1 ? '1 page' : `${paper.pages} pages`].filter(Boolean).join(' · ')}
              </div>
              {(paper.tags || []).length ? (
                <div className="mt-1 flex flex-wrap gap-1">
                  {paper.tags.map((name) => (
                    <Badge key={name} variant="outline" className="gap-1 font-normal">
                      <button type="button" className="hover:underline" title={`Show papers tagged ${name}`}
                        onClick={() => setFilter(name)}>{name}</button>
                      <button type="button" disabled={busy} aria-label={`Remove the tag ${name} from ${paper.title}`}
                        onClick={() => act('untag_paper', { id: paper.id, tag: name })}><X className="h-3 w-3" /></button>
                    </Badge>
                  ))}
                </div>
              ) : null}
            </div>
            {asking === paper.id ? (
              <div className="flex shrink-0 items-center gap-2">
                <span className="text-xs">Delete it?</span>
                <Button size="sm" variant="destructive" disabled={busy} onClick={() => act('delete_paper', { id: paper.id })}>Delete</Button>
                <Button size="sm" variant="outline" disabled={busy} onClick={() => setAsking(null)}>Keep</Button>
              </div>
            ) : (
              <Button size="icon" variant="ghost" disabled={busy} aria-label={`Delete ${paper.title}`}
                onClick={() => setAsking(paper.id)}><Trash2 className="h-4 w-4" /></Button>
            )}
          </li>
        ))}
        {shown.length === 0 ? <li className="py-2 text-muted-foreground">{papers.length ? 'No papers match.' : 'No papers yet.'}</li> : null}
      </ul>
    </div>
  )
}
