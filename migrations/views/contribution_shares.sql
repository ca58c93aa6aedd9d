create view lab.contribution_shares as
select
    g.model,
    g.kind,
    g.step,
    g.dataset,
    g.procedure,
    g.from_layer,
    g.layer,
    count(*) as width,
    max(g.contribution) as largest_contribution,
    count(*) filter (g.before < 50) as dimensions_for_half,
    0.2390 * count(*) as gaussian_for_half,
    count(*) filter (g.before < 90) as dimensions_for_nine_tenths,
    0.6462 * count(*) as gaussian_for_nine_tenths,
    g.revision
from (
    select
        d.model,
        d.kind,
        d.step,
        d.dataset,
        d.procedure,
        d.from_layer,
        d.layer,
        d.contribution,
        d.revision,
        sum(d.contribution) over (
            partition by d.model, d.step, d.dataset, d.procedure, d.from_layer, d.layer, d.revision order by d.rank
        ) - d.contribution as before
    from lab.dimension_contributions d
) g
group by g.model, g.kind, g.step, g.dataset, g.procedure, g.from_layer, g.layer, g.revision;

comment on view lab.contribution_shares is 'How many dimensions make half and nine tenths of the decision for a layer, beside what independent Gaussian weights would need';
comment on column lab.contribution_shares.model is 'the model''s name in the store';
comment on column lab.contribution_shares.kind is 'decoder or encoder';
comment on column lab.contribution_shares.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.contribution_shares.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.contribution_shares.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.contribution_shares.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.contribution_shares.layer is 'the layer that is decided for';
comment on column lab.contribution_shares.width is 'dimensions of a hidden state';
comment on column lab.contribution_shares.largest_contribution is 'per cent of the decision by one dimension';
comment on column lab.contribution_shares.dimensions_for_half is 'the fewest dimensions that make 50 %';
comment on column lab.contribution_shares.gaussian_for_half is '0.239 of the width: what Gaussian weights need';
comment on column lab.contribution_shares.dimensions_for_nine_tenths is 'the fewest dimensions that make 90 %';
comment on column lab.contribution_shares.gaussian_for_nine_tenths is '0.646 of the width: what Gaussian weights need';
comment on column lab.contribution_shares.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
