# etc
dist_pkgdata_DATA = etc/warren.yaml
