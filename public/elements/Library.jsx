import { Badge } from '@/components/ui/badge'
import { Button } from '@/components/ui/button'
import { Input } from '@/components/ui/input'
import { Trash2 } from 'lucide-react'
import { useEffect, useState } from 'react'

// The papers of the library. Python answers every action with the papers as they are then; nothing here is trusted there.
export default function Library() {
  const [papers, setPapers] = useState(props.papers || [])
  const [filter, setFilter] = useState('')
  const [asking, setAsking] = useState(null)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState('')

  async function act(name, id) {
    setBusy(true)
    setError('')
    try {
      const reply = await callAction({ name, payload: { id } })
      const answer = reply?.response
      if (answer?.papers) setPapers(answer.papers)
      if (answer?.error) setError(answer.error)
    } catch {
      setError('Scholion does not answer. Reload the page and try again.')
    } finally {
      setBusy(false)
      setAsking(null)
    }
  }

  // A stored chat shows the list as it was then: ask for today's.
  useEffect(() => { act('list_papers') }, [])

  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  const shown = papers.filter((paper) => {
    const text = `${paper.title} ${paper.authors} ${paper.year ?? ''}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })

  return (
    <div id="library" className="w-full rounded-lg border bg-card p-4 text-sm">
      <div className="mb-3 flex items-center gap-3">
        <span className="font-semibold">Library</span>
        <Badge variant="secondary" className="shrink-0">{papers.length === 1 ? '1 paper' : `${papers.length} papers`}</Badge>
        <Input id="library-filter" className="ml-auto h-8" style={{ maxWidth: '16rem' }} placeholder="Filter by title, author, year"
          aria-label="Filter papers" value={filter} onChange={(event) => setFilter(event.target.value)} />
      </div>
      {error ? <p role="alert" className="mb-2 text-destructive">{error}</p> : null}
      <ul className="overflow-y-auto" style={{ maxHeight: '24rem' }}>
        {shown.map((paper) => (
          <li key={paper.id} data-paper={paper.id} className="flex items-center gap-3 border-t py-2">
            <div className="min-w-0 flex-grow">
              <button type="button" className="block max-w-full truncate text-left font-medium hover:underline"
                title={paper.title} onClick={() => act('open_paper', paper.id)}>{paper.title}</button>
              <div className="truncate text-xs text-muted-foreground">
                {[paper.authors, paper.year, paper.pages === 1 ? '1 page' : `${paper.pages} pages`].filter(Boolean).join(' · ')}
              </div>
            </div>
            {asking === paper.id ? (
              <div className="flex shrink-0 items-center gap-2">
                <span className="text-xs">Delete it?</span>
                <Button size="sm" variant="destructive" disabled={busy} onClick={() => act('delete_paper', paper.id)}>Delete</Button>
                <Button size="sm" variant="outline" disabled={busy} onClick={() => setAsking(null)}>Keep</Button>
              </div>
            ) : (
              <Button size="icon" variant="ghost" disabled={busy} aria-label={`Delete ${paper.title}`}
                onClick={() => setAsking(paper.id)}><Trash2 className="h-4 w-4" /></Button>
            )}
          </li>
        ))}
        {shown.length === 0 ? <li className="py-2 text-muted-foreground">{papers.length ? 'No paper matches.' : 'No papers yet.'}</li> : null}
      </ul>
    </div>
  )
}
