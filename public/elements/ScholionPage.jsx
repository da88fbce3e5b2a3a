import { useEffect, useRef, useState } from 'react'

// A page of ours in the side panel: /page/<paper>/<number>, or /library.
export default function ScholionPage() {
  const frame = useRef(null)
  const library = props.address === '/library'
  const address = library || /^\/page\/[0-9a-f]{16}\//.test(props.address) ? props.address : 'about:blank' // no other may be opened
  const [height, setHeight] = useState(600)

  // As high as the panel allows below its title, so that only the page itself scrolls.
  useEffect(() => {
    const panel = frame.current?.closest('aside')
    const measure = () => {
      const top = frame.current?.getBoundingClientRect().top || 0
      const bottom = panel ? panel.getBoundingClientRect().bottom : window.innerHeight
      const scrolled = panel ? panel.scrollTop : 0
      setHeight(Math.max(320, bottom - top - scrolled - 28))
    }
    measure()
    const late = [100, 500].map((wait) => setTimeout(measure, wait)) // the title comes after, and may take two lines
    window.addEventListener('resize', measure)
    return () => { late.forEach(clearTimeout); window.removeEventListener('resize', measure) }
  }, [])

  return (
    <iframe id={library ? 'library-panel' : 'page-of-paper'} ref={frame} src={address} title={props.title}
      className="w-full rounded-lg border" style={{ height: `${height}px`, border: 0 }}
      onLoad={() => frame.current?.contentWindow?.focus({ preventScroll: true })} />
  )
}
