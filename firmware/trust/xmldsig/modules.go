package xmldsig

import (
	_ "github.com/beevik/etree" // the tree that goxmldsig canonicalises
	_ "github.com/russellhaering/goxmldsig"
)
